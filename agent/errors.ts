/**
 * transient: trying again may help. fatal: a bug or a broken machine, the process should end. operator:
 * somebody has to do something. usage: the call itself was wrong.
 */
export const ERROR_CLASSES = ['transient', 'fatal', 'operator', 'usage'] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];

/** Exit codes of every command. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  not_in_cluster: 3,
  not_active: 4,
  still_going: 5,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Codes that have an exit code of their own; every other code exits by its class. */
const EXIT_BY_CODE: Readonly<Record<string, ExitCode>> = {
  not_in_cluster: EXIT.not_in_cluster,
  removed_from_cluster: EXIT.not_in_cluster,
  not_cluster_master: EXIT.not_active,
  still_going: EXIT.still_going,
};

export interface ErrorOptions {
  readonly class: ErrorClass;
  /** Stable, snake_case; clients and tests go by it. */
  readonly code: string;
  /** What is wrong, in one sentence without a full stop. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The error of this project: expected outcomes are values, everything else is one of these. */
export class AgentError extends Error {
  override readonly name: string = 'AgentError';
  readonly class: ErrorClass;
  readonly code: string;
  readonly hint: string | undefined;

  constructor(options: ErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.class = options.class;
    this.code = options.code;
    this.hint = options.hint;
  }

  /** The body of an HTTP error reply; causes stay in the log. */
  toJSON(): { message: string; error_code: string; hint?: string } {
    const body = { message: this.message, error_code: this.code };
    return this.hint === undefined ? body : { ...body, hint: this.hint };
  }
}

export const usageError = (message: string, hint?: string): AgentError =>
  new AgentError({ class: 'usage', code: 'bad_usage', message, ...(hint === undefined ? {} : { hint }) });

/** The refusals that several parts make, each in one place: clients go by their codes. */
export const notInCluster = (message = 'this manager is not in a cluster'): AgentError =>
  new AgentError({
    class: 'operator',
    code: 'not_in_cluster',
    message,
    hint: "start one with 'agent cluster start', or join one with 'agent cluster join ADDRESS'",
  });

export const removedFromCluster = (): AgentError =>
  new AgentError({
    class: 'operator',
    code: 'removed_from_cluster',
    message: 'this manager was removed from its cluster',
    hint: "empty it, then join the cluster again with 'agent cluster join ADDRESS'",
  });

export const noSuchNode = (name: string, nodes: readonly string[]): AgentError =>
  new AgentError({
    class: 'operator',
    code: 'not_found',
    message: `no node ${name} in this cluster`,
    hint: `its nodes: ${nodes.join(', ')}`,
  });

/** What a thrown value says itself, for a reply or a fact. The log has its causes as well: `explain`. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);

/** Any thrown value as an AgentError; what is not one already is `fatal`, `internal_error`. */
export function asAgentError(thrown: unknown): AgentError {
  if (thrown instanceof AgentError) return thrown;
  return new AgentError({
    class: 'fatal',
    code: 'internal_error',
    message: messageOf(thrown),
    cause: thrown,
  });
}

/** The exit code for a thrown value. */
export function exitCodeOf(thrown: unknown): ExitCode {
  const error = asAgentError(thrown);
  return EXIT_BY_CODE[error.code] ?? (error.class === 'usage' ? EXIT.usage : EXIT.failed);
}

/** One line with the messages of an error and its causes, outermost first, without repeats. */
export function explain(thrown: unknown): string {
  const parts: string[] = [];
  let current: unknown = thrown;
  for (let depth = 0; current !== undefined && current !== null && depth < 8; depth++) {
    const message = messageOf(current);
    if (message !== '' && !parts.some((part) => part.includes(message))) parts.push(message);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(': ');
}
