/** Commands on the machine that carries the lab. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

export interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a command reads: nothing, a text, or a file. */
export type Input = string | { readonly file: string };

/** Runs a command to its end, whatever its exit code. Past `timeout` ms it is killed and the code is -1. */
export function run(argv: readonly string[], timeout = 60_000, input: Input = ''): Promise<Done> {
  const [file = '', ...args] = argv;
  const from = typeof input === 'string' ? undefined : openSync(input.file, 'r');
  const child = spawn(file, args, { stdio: [from ?? 'pipe', 'pipe', 'pipe'] });
  if (from !== undefined) closeSync(from);
  child.stdin?.on('error', () => {}); // it ended without reading
  if (typeof input === 'string') child.stdin?.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Uint8Array) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Uint8Array) => (stderr += chunk.toString()));
  return new Promise((resolve) => {
    let settled = false;
    const finish = (code: number) => {
      if (settled) return;
      settled = true;
      clearTimeout(limit);
      resolve({ code, stdout, stderr });
    };
    const limit = setTimeout(() => {
      child.kill('SIGKILL');
      stderr += `killed after ${timeout} ms`;
      finish(-1);
    }, timeout);
    child.on('error', (error) => {
      stderr += error.message;
      finish(127);
    });
    child.on('close', (code) => finish(code ?? -1));
    // A daemon left behind may hold the pipes open for ever.
    child.on('exit', (code) => setTimeout(() => finish(code ?? -1), 500));
  });
}

/** As `run`; throws with the command's own words when it fails. Returns its standard output. */
export async function must(argv: readonly string[], timeout?: number, input?: Input): Promise<string> {
  const { code, stdout, stderr } = await run(argv, timeout, input);
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

/** For the tearing down, which also runs while the process exits: no events any more. Failures are silent. */
export function attempt(...argv: string[]): boolean {
  const [file = '', ...args] = argv;
  return spawnSync(file, args, { stdio: 'ignore', timeout: 20_000 }).status === 0;
}

export const hasProgram = (name: string): boolean =>
  (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name)));

/** Where trees and running labs live: outside the checkout, so that a clean checkout finds them. */
export const cacheDir = (): string =>
  process.env.AGENT_LAB_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'agent-lab');

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/**
 * Polls until `look` gives something other than undefined, false or null. Throws after `timeout` ms, naming
 * `what`.
 */
export async function until<T>(
  what: string,
  timeout: number,
  look: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  every = 100,
): Promise<T> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`not within ${timeout} ms: ${what}`);
    await sleep(every);
  }
}
