import { describe, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { sleep, until } from '../../agent/platform/clock.ts';
import { lineSplitter, tail } from '../../agent/platform/output.ts';
import { alive, bootId, processesIn, readStat, run, runOk } from '../../agent/platform/process.ts';
import { parseStat } from '../../agent/platform/procfs.ts';
import { manualClock } from '../fixtures/clock.ts';

const sh = (script: string, options: Partial<Parameters<typeof run>[2]> = {}) =>
  run('sh', ['-c', script], { deadline: 10_000, ...options });

describe('a command', () => {
  test('gives back its code and both outputs, whatever the code', async () => {
    expect(await sh('cat; echo wrong >&2; exit 3', { input: 'in' })).toMatchObject({
      code: 3,
      stdout: 'in',
      stderr: 'wrong\n',
    });
  });

  test('is ended with everything it started once its deadline has passed', async () => {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'run-')));
    const result = await sh('sleep 100 & sleep 100', { deadline: 50, cwd: dir });
    expect(result).toMatchObject({ ended: 'deadline', signal: 'SIGTERM' });
    expect(await until(() => processesIn(dir).length === 0, { timeout: 30_000 })).toBe(true);
    rmSync(dir, { recursive: true });
  });

  test('is ended when it is cancelled, also before it began', async () => {
    const controller = new AbortController();
    const running = sh('sleep 100', { signal: controller.signal });
    controller.abort();
    expect((await running).ended).toBe('cancelled');
    expect((await sh('sleep 100', { signal: controller.signal })).ended).toBe('cancelled');
  });

  test('tells its lines while it runs, progress lines too', async () => {
    const lines: string[] = [];
    await sh('printf "1%%\\r50%%\\r100%%\\n" >&2; echo done', {
      onLine: (line, stream) => lines.push(`${stream} ${line}`),
    });
    expect(lines.sort()).toEqual(['stderr 1%', 'stderr 100%', 'stderr 50%', 'stdout done']);
  });

  test('keeps only the end of a long output', async () => {
    const { stdout } = await sh('seq 1 100000', { maxOutput: 100 });
    expect(stdout).toHaveLength(100);
    expect(stdout).toEndWith('99999\n100000\n');
  });

  test('sees the environment it is given, and not what is taken away', async () => {
    const { stdout } = await sh('echo $A-$HOME', { env: { A: 'x', HOME: undefined } });
    expect(stdout).toBe('x-\n');
  });

  test('that cannot be run is an operator error, one that fails a transient one with its last words', async () => {
    await expect(run('/no/such', [], { deadline: 1000 })).rejects.toMatchObject({
      code: 'command_not_started',
      class: 'operator',
    });
    await expect(runOk('sh', ['-c', 'echo why >&2; exit 2'], { deadline: 1000 })).rejects.toMatchObject({
      code: 'command_failed',
      message: 'sh failed with exit code 2: why',
    });
  });
});

describe('a process', () => {
  test('is told from another under the same pid by its start time', () => {
    const own = readStat(process.pid);
    expect(own?.startTime).toBeGreaterThan(0);
    expect(alive(process.pid, own?.startTime)).toBe(true);
    expect(alive(process.pid, (own?.startTime ?? 0) + 1)).toBe(false);
  });

  test('counts as dead when it is a zombie', async () => {
    // The child ends at once; its parent, a sleep, never collects it.
    const parent = spawn('sh', ['-c', 'sh -c "echo \\$\\$" & exec sleep 100'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pid = Number(
      await new Promise<string>((done) => parent.stdout.once('data', (data) => done(String(data)))),
    );
    expect(await until(() => readStat(pid)?.state === 'Z', { timeout: 30_000 })).toBe(true);
    expect(alive(pid)).toBe(false);
    parent.kill('SIGKILL');
  });

  test('may have any command name', () => {
    const fields = `S 7 ${Array.from({ length: 49 }, (_, index) => index + 5).join(' ')}`;
    expect(parseStat(`42 (a) b (c) ${fields}`)).toMatchObject({
      pid: 42,
      command: 'a) b (c',
      state: 'S',
      startTime: 22,
    });
  });

  test('is found by the folder it works in, and only that', async () => {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'cwd-')));
    const child = spawn('sleep', ['100'], { cwd: dir, stdio: 'ignore' });
    expect(processesIn(dir).map(({ pid }) => pid)).toEqual([child.pid ?? 0]);
    expect(processesIn(`${dir}-other`)).toEqual([]);
    child.kill('SIGKILL');
    expect(await until(() => processesIn(dir).length === 0, { timeout: 30_000 })).toBe(true);
    rmSync(dir, { recursive: true });
  });

  test('knows which boot this is', () => {
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
  });
});

test('lines come whole though their bytes come in pieces', () => {
  const lines: string[] = [];
  const splitter = lineSplitter((line) => lines.push(line));
  for (const byte of new TextEncoder().encode('gr\u00fcn\r\nblau\n\nrest')) splitter.add(Uint8Array.of(byte));
  expect(lines).toEqual(['gr\u00fcn', 'blau']);
  splitter.end();
  expect(lines).toEqual(['gr\u00fcn', 'blau', 'rest']);
});

test('the tail of a stream stays small', () => {
  const kept = tail(4);
  for (let i = 0; i < 1000; i++) kept.add(new TextEncoder().encode(String(i % 10)));
  expect(kept.text()).toBe('6789');
});

test('a sleep is cut short when it is aborted, and leaves nothing behind', async () => {
  const controller = new AbortController();
  const long = sleep(60_000, controller.signal);
  controller.abort();
  expect(await long).toBe(false);
  expect(await sleep(0)).toBe(true);
});

test('a manual clock stands still until it is told to go, and never goes back', () => {
  const clock = manualClock(5);
  clock.advance(10);
  expect([clock.now(), clock.wall().toISOString()]).toEqual([15, '2026-01-01T00:00:00.010Z']);
  expect(() => clock.advance(-1)).toThrow(RangeError);
});
