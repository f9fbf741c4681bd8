import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import { AgentError } from '../errors.ts';
import { sleep } from './clock.ts';
import { ownEnvironment } from './environment.ts';
import { lineSplitter, tail } from './output.ts';

export { alive, bootId, type ProcessStat, processesIn, readStat } from './procfs.ts';

export interface RunOptions {
  readonly cwd?: string;
  /** Added to the agent's own environment, which names no proxy; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds until the whole process group is ended. Required: nothing here may hang for ever. */
  readonly deadline: number;
  readonly input?: string | Uint8Array;
  /** Of each stream this many bytes are kept, the last ones. Default 1 MB. */
  readonly maxOutput?: number;
  /** Each line as it comes; a carriage return ends one too, as in progress displays. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  /** Absent when it died by a signal. */
  readonly code?: number;
  readonly signal?: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it was ended by us, if it was. */
  readonly ended?: 'deadline' | 'cancelled';
  /** Milliseconds. */
  readonly duration: number;
}

/** From SIGTERM to SIGKILL, ms. */
const GRACE = 2_000;
/** How long output is waited for after the exit: a child of it may hold the pipe open. */
const DRAIN = 200;

/**
 * Runs a program without a shell, in a process group of its own. Resolves once it has ended, with whatever
 * code; rejects only when it could not be started (`command_not_started`, operator).
 */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const began = performance.now();
  const limit = options.maxOutput ?? 1_000_000;
  const child = spawn(command, [...args], {
    cwd: options.cwd,
    env: environment(options.env),
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const stdout = collect(child, 'stdout', limit, options.onLine);
  const stderr = collect(child, 'stderr', limit, options.onLine);
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);

  return new Promise((resolve, reject) => {
    let ended: RunResult['ended'];
    let grace: ReturnType<typeof setTimeout> | undefined;
    const end = (why: 'deadline' | 'cancelled') => {
      if (ended) return;
      ended = why;
      killGroup(child, 'SIGTERM');
      grace = setTimeout(() => killGroup(child, 'SIGKILL'), GRACE);
    };
    const cancel = () => end('cancelled');
    const timer = setTimeout(() => end('deadline'), options.deadline);
    const settle = () => {
      clearTimeout(timer);
      clearTimeout(grace);
      options.signal?.removeEventListener('abort', cancel);
    };
    options.signal?.addEventListener('abort', cancel, { once: true });
    if (options.signal?.aborted) cancel();

    child.once('error', (cause) => {
      settle();
      reject(notStarted(command, cause));
    });
    child.once('exit', async (code, signal) => {
      settle();
      await Promise.race([Promise.all([stdout.closed, stderr.closed]), sleep(DRAIN)]);
      resolve({
        ...(code === null ? {} : { code }),
        ...(signal === null ? {} : { signal }),
        ...(ended === undefined ? {} : { ended }),
        stdout: stdout.text(),
        stderr: stderr.text(),
        duration: performance.now() - began,
      });
    });
  });
}

/**
 * Like `run`, but anything except exit code 0 rejects (transient) with its last error lines in the message:
 * `command_failed`, `command_killed` by a signal of somebody else's, `command_too_slow` after the deadline,
 * `command_cancelled`.
 */
export async function runOk(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const result = await run(command, args, options);
  if (result.code === 0 && result.ended === undefined) return result;
  const name = command.slice(command.lastIndexOf('/') + 1);
  const how = {
    deadline: `took longer than ${options.deadline} ms`,
    cancelled: 'was cancelled',
    none:
      result.code === undefined ? `was killed by ${result.signal}` : `failed with exit code ${result.code}`,
  }[result.ended ?? 'none'];
  const said = result.stderr.trim().split('\n').slice(-3).join('; ');
  throw new AgentError({
    class: 'transient',
    code: {
      deadline: 'command_too_slow',
      cancelled: 'command_cancelled',
      none: result.code === undefined ? 'command_killed' : 'command_failed',
    }[result.ended ?? 'none'],
    message: `${name} ${how}${said === '' ? '' : `: ${said}`}`,
  });
}

function environment(over: RunOptions['env']): Record<string, string> {
  const all = Object.entries({ ...ownEnvironment(), ...over });
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function killGroup(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
}

function collect(
  child: ChildProcess,
  name: 'stdout' | 'stderr',
  limit: number,
  onLine: RunOptions['onLine'],
) {
  const kept = tail(limit);
  const lines = onLine && lineSplitter((line) => onLine(line, name));
  const stream = child[name];
  stream?.on('data', (chunk: Uint8Array) => {
    kept.add(chunk);
    lines?.add(chunk);
  });
  stream?.on('error', () => {});
  const closed = new Promise<void>((done) => {
    stream?.once('close', () => {
      lines?.end();
      done();
    });
  });
  return { closed, text: kept.text };
}

const notStarted = (command: string, cause: unknown) =>
  new AgentError({
    class: 'operator',
    code: 'command_not_started',
    message: `cannot run ${command}`,
    hint: 'check that it is installed and executable',
    cause,
  });
