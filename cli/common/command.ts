/** What every command of this executable has in common: options, the agent's API, output. */
import type { ArgsDef, CommandDef, ParsedArgs } from 'citty';
import { type ExitCode, usageError } from '../../agent/errors.ts';
import type { AgentClient } from '../../agent/http/client_api.ts';
import type { Given } from './args.ts';
import { findSocket } from './socket.ts';
import type { Terminal } from './terminal.ts';

export const COMMON = {
  config: {
    type: 'string',
    valueHint: 'PATH',
    description: 'configuration; else $AGENT_CONFIG, /etc/cloudify/agent.yaml',
  },
  socket: {
    type: 'string',
    valueHint: 'PATH',
    description: "the agent's socket; default: $AGENT_SOCKET, or as configured",
  },
  json: { type: 'boolean', description: 'print JSON' },
  verbose: { type: 'boolean', description: 'show more: calls, causes, details' },
  help: { type: 'boolean', alias: 'h', description: 'show this help' },
} as const satisfies ArgsDef;

export interface Invocation<A extends ArgsDef> {
  readonly args: ParsedArgs<A & typeof COMMON>;
  readonly given: Given;
  readonly terminal: Terminal;
  /** The API of the agent that --socket, --config and the environment name. */
  agent(): Promise<AgentClient>;
  /** The answer: as JSON with --json, else as the text. */
  print(value: unknown, text: () => string): void;
  /** A line for people on standard error, for example progress. */
  say(line: string): void;
}

export interface CommandSpec<A extends ArgsDef> {
  readonly name: string;
  readonly description: string;
  /** Whole command lines, the most usual first. */
  readonly examples: readonly string[];
  readonly args: A;
  /** May more positionals follow than are defined? */
  readonly rest?: boolean;
  /** The exit code; without one, 0. */
  run(invocation: Invocation<A>): Promise<ExitCode | undefined> | Promise<void>;
}

/** What run_cli.ts hands to a command through citty's `data`. */
export interface Handed {
  readonly terminal: Terminal;
  /** The arguments, checked. */
  readonly given: Given;
}

/** citty's definition, with what our help and our check of arguments need besides. */
export interface AgentCommand extends CommandDef<ArgsDef> {
  readonly examples: readonly string[];
  readonly rest: boolean;
}

export const isAgentCommand = (command: CommandDef): command is AgentCommand => 'examples' in command;

async function connect(args: Record<string, unknown>, terminal: Terminal) {
  const [{ connectAgent }, socketPath] = await Promise.all([
    import('../../agent/http/client_api.ts'),
    findSocket(args, terminal.env),
  ]);
  return connectAgent({
    target: { socketPath },
    ...(args.verbose === true
      ? {
          onCall: ({ method, path }, status, ms) =>
            terminal.err(`${method} ${path}: ${status} in ${ms.toFixed(0)} ms\n`),
        }
      : {}),
  });
}

export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const withNewline = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`);

export function command<const A extends ArgsDef>(spec: CommandSpec<A>): AgentCommand {
  return {
    meta: { name: spec.name, description: spec.description },
    args: { ...spec.args, ...COMMON },
    examples: spec.examples,
    rest: spec.rest ?? false,
    async run({ args: parsed, data }) {
      const { terminal, given }: Handed = data;
      return spec.run({
        args: parsed as unknown as ParsedArgs<A & typeof COMMON>,
        given,
        terminal,
        agent: () => connect(parsed, terminal),
        print: (value, text) => terminal.out(parsed.json === true ? jsonText(value) : withNewline(text())),
        say: (line) => terminal.err(`${line}\n`),
      });
    },
  };
}

/** A duration option in milliseconds: seconds, or a number with its unit. Throws a usage error. */
export async function durationOption(name: string, text: string): Promise<number> {
  const { parseDuration } = await import('../../agent/config/fields.ts');
  const ms = parseDuration(/^\d+(\.\d+)?$/.test(text) ? Number(text) : text);
  if (ms !== undefined && ms > 0) return ms;
  throw usageError(`--${name}=${text} is not a duration`, `write seconds, or a time like --${name}=10min`);
}
