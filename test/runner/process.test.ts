import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { run } from './process.ts';

/** A killed process that nobody has reaped yet has no command line any more: it counts as ended. */
function alive(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1') !== '';
  } catch {
    return false;
  }
}

/** Those still alive once the kernel had two seconds to end what was killed. */
async function survivors(pids: string[]): Promise<string[]> {
  const deadline = performance.now() + 2000;
  while (pids.some(alive) && performance.now() < deadline) await Bun.sleep(10);
  return pids.filter(alive);
}

const pidsIn = (output: string) => [...output.matchAll(/^pid (\d+)$/gm)].map((match) => match[1] ?? '');

test('a command past its limit is killed with its group and with a child that left the group', async () => {
  const script = 'sleep 61 & echo "pid $!"; setsid sleep 62 & echo "pid $!"; wait';
  const ended = await run(['sh', '-c', script], 0.3);
  const pids = pidsIn(ended.output);
  expect(ended.timedOut).toBe(true);
  expect(pids).toHaveLength(2);
  expect(await survivors(pids)).toEqual([]);
});

test('a process left behind by a command that ended well is named and killed', async () => {
  const ended = await run(['sh', '-c', 'setsid sleep 63 & echo "pid $!"; sleep 0.1'], 10);
  expect(ended).toMatchObject({ code: 0, timedOut: false });
  expect(ended.left.join()).toContain('sleep 63');
  expect(await survivors(pidsIn(ended.output))).toEqual([]);
});

test('a command that does not exist ends with its error instead of throwing', async () => {
  const ended = await run(['/nowhere/at/all'], 10);
  expect(ended.code).not.toBe(0);
  expect(ended.output).toContain('/nowhere/at/all');
});

test('what a command took is told, with the processor time of the processes it waited for', async () => {
  const busy = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done';
  const ended = await run(['sh', '-c', `sh -c '${busy}'; sleep 0.3`], 60);
  expect(ended.seconds).toBeGreaterThan(0.3);
  expect(ended.cpuSeconds).toBeGreaterThan(0);
  expect(ended.cpuSeconds).toBeLessThan(ended.seconds - 0.2);
});
