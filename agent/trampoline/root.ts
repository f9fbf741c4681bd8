/**
 * Root's hands: everything outside that a call touches, so that tests can put something else in its place.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeSync } from 'node:fs';
import process from 'node:process';
import { note } from './log.ts';
import { keptState } from './state.ts';
import { programPath, readTrusted } from './trusted.ts';

export interface Ran {
  /** Absent when it did not start, or ended by a signal or its time limit. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Kept {
  /** Undefined: nothing is kept. Throws a Refusal when it is not root's alone. */
  read(): string | undefined;
  /** Keeps what is kept already, if another call came first. */
  write(text: string): void;
  remove(): void;
}

export interface Root {
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Does the kernel have it? */
  readonly ipv6: boolean;
  /** Throws a Refusal unless nobody but root can have written it. */
  read(path: string): string;
  /** Without a shell, in /, with a fixed environment; ended after `limit` ms (default 15 s). */
  run(program: string, args: readonly string[], options?: { input?: string; limit?: number }): Ran;
  /** Where `units take` notes what was there before. */
  readonly kept: Kept;
  log(entry: Readonly<Record<string, unknown>>): void;
  say(text: string): void;
  complain(text: string): void;
}

const ENVIRONMENT = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/',
  LANG: 'C',
  LC_ALL: 'C',
  SYSTEMD_PAGER: '',
  SYSTEMD_COLORS: '0',
} as const;
/** Shorter than the caller's own limit, so that it is told. */
const LIMIT = 15_000;

function runProgram(
  program: string,
  args: readonly string[],
  options: { input?: string; limit?: number } = {},
): Ran {
  const path = programPath(program);
  if (path === undefined) return { code: undefined, stdout: '', stderr: `${program} is not installed` };
  const result = spawnSync(path, [...args], {
    cwd: '/',
    env: ENVIRONMENT,
    input: options.input ?? '',
    encoding: 'utf8',
    timeout: options.limit ?? LIMIT,
    killSignal: 'SIGKILL',
    maxBuffer: 1024 * 1024,
  });
  return { code: result.status ?? undefined, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
}

export const realRoot = (): Root => ({
  uid: process.geteuid?.() ?? -1,
  env: process.env,
  ipv6: existsSync('/proc/net/if_inet6'),
  read: readTrusted,
  run: runProgram,
  kept: keptState(),
  log: (entry) => note(entry, runProgram),
  say: (text) => print(1, text),
  complain: (text) => print(2, text),
});

/** At once, as the process ends right after; a caller that does not listen is no reason to fail. */
function print(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // nobody listens
  }
}
