/**
 * Input: `agent cluster status >/dev/full`, as of a script that keeps the answer on a disk that is full.
 * Right: the exit code is not 0, and standard error says why; a reader that has seen enough (`| head`) is no
 *        error.
 * Source: reports of status scripts that took an empty answer for a good one.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { type Bench, bench } from '../cli/harness.ts';

const MAIN = join(import.meta.dirname, '../../cli/main.ts');

let on: Bench;
beforeAll(async () => {
  on = await bench();
});
afterAll(() => on.close());

/** A line of a shell, in which `agent` is the program, and its agent answers. */
function shell(line: string): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn('sh', ['-c', `agent() { "$BUN" "$MAIN" "$@"; }; ${line}`], {
    env: { ...process.env, BUN: process.execPath, MAIN, AGENT_SOCKET: on.socket },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((done) => child.once('close', (code) => done({ code, out, err })));
}

test.each([
  'agent cluster status',
  'agent cluster status --json',
  'agent cluster nodes list',
  'agent status',
  'agent logs',
  'agent --version',
  'agent --help',
  'agent completion bash',
])(
  '%s into a full disk is a failure that says so',
  async (line) => {
    const right = await shell(line);
    expect([right.code, right.err]).toEqual([0, '']);
    const { code, err } = await shell(`${line} >/dev/full`);
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^agent: the output could not be written: ENOSPC/),
    ]);
  },
  60_000,
);

test('the code of a command that failed besides is its own', async () => {
  expect((await shell('agent --json status --socket /nowhere >/dev/full')).code).not.toBe(0);
  expect((await shell('agent nonsense >/dev/full 2>/dev/full')).code).toBe(2);
}, 60_000);

test('a reader that goes away early is not complained of', async () => {
  const { code, out, err } = await shell('agent completion bash | true; agent --help | head -n 1');
  expect([code, out.split('\n').length, err]).toEqual([0, 2, '']);
}, 60_000);
