/**
 * What only root may do, asked of the trampoline: over the socket where systemd listens for this user, else
 * through sudo, which lets the agent's user run nothing else. Which of the two is decided here.
 */
import { AgentError } from '../../errors.ts';
import { ROOT_SOCKETS } from '../../platform/paths.ts';
import { type RunOptions, type RunResult, run } from '../../platform/process.ts';
import { callOverSocket, type RootCall } from './socket.ts';

/** Its place is fixed here and in sudoers; it cannot be configured. */
export const TRAMPOLINE = '/opt/cloudify/sudo_trampoline';
const SUDO = ['/usr/bin/sudo', '-n', TRAMPOLINE] as const;

/** Milliseconds. Taking and giving units stops and starts a database; everything else returns at once. */
const DEADLINE = 20_000;
const LONG_DEADLINE = 300_000;
const LONG: readonly string[] = ['units', 'consul', 'files'];

type Runner = (command: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;

export interface TrampolineOptions {
  /** Where root listens for this user; default the agent's. */
  readonly socket?: string;
  /** For tests. */
  readonly over?: (call: RootCall) => Promise<RunResult | undefined>;
  /** For tests. */
  readonly run?: Runner;
  /** ms; default 20 s, for `units` and `consul` 5 min. */
  readonly deadline?: number;
}

export type Trampoline = (verb: string, ...args: string[]) => Promise<string>;

/**
 * Resolves with what the call printed once it is done. Rejects with `trampoline_refused` (operator: the
 * policy does not allow this), `sudo_refused` (operator: sudo itself said no), `trampoline_timeout` or
 * `trampoline_failed` (transient). After a timeout root's work may still go on: this user cannot end it.
 */
export function createTrampoline(options: TrampolineOptions = {}): Trampoline {
  const { socket: path = ROOT_SOCKETS.agent, over = callOverSocket, run: start = run } = options;
  const [program, ...first] = SUDO;
  return async (verb, ...args) => {
    const deadline = options.deadline ?? (LONG.includes(verb) ? LONG_DEADLINE : DEADLINE);
    const words = [verb, ...args];
    const result =
      (await over({ path, words, deadline })) ??
      // Whatever is in the agent's environment, it is not for root's program.
      (await start(program, [...first, ...words], { deadline, cwd: '/' }));
    if (result.code === 0 && result.ended === undefined) return result.stdout;
    throw failure([verb, ...args].join(' '), result, deadline);
  };
}

/** The agent's trampoline: see `createTrampoline` for the errors. */
export async function callTrampoline(verb: string, ...args: string[]): Promise<void> {
  await createTrampoline()(verb, ...args);
}

function failure(call: string, result: RunResult, deadline: number): AgentError {
  const said = result.stderr.trim().split('\n').slice(-3).join('; ');
  const because = said === '' ? '' : `: ${said}`;
  if (result.ended !== undefined) {
    return new AgentError({
      class: 'transient',
      code: 'trampoline_timeout',
      message: `'${call}' as root took longer than ${deadline} ms`,
    });
  }
  if (/^sudo: /m.test(result.stderr)) {
    return new AgentError({
      class: 'operator',
      code: 'sudo_refused',
      message: `sudo does not run the trampoline${because}`,
      hint: "run 'agent install' as root: it writes the sudoers file",
    });
  }
  if (result.code === 2) {
    return new AgentError({
      class: 'operator',
      code: 'trampoline_refused',
      message: `'${call}' as root was refused${because}`,
      hint: "what it may do is rendered from agent.yaml by 'agent install'; its log is in /var/log/cloudify-root",
    });
  }
  const died = result.signal === undefined ? 'was not answered' : `was killed by ${result.signal}`;
  const how = result.code === undefined ? died : 'failed';
  return new AgentError({
    class: 'transient',
    code: 'trampoline_failed',
    message: `'${call}' as root ${how}${because}`,
  });
}
