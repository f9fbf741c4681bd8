import { describe, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { until } from '../../../agent/platform/clock.ts';
import { readStat } from '../../../agent/platform/procfs.ts';
import { exitPoller } from '../../../agent/roles/services/poller.ts';

describe('the poller', () => {
  const sleeper = () => {
    const child = spawn('sleep', ['100'], { stdio: 'ignore' });
    const pid = child.pid ?? 0;
    return { child, pid, startTime: readStat(pid)?.startTime ?? 0 };
  };

  test('tells the end of each process once, and not of those given up', async () => {
    const poller = exitPoller(5);
    const [a, b, c] = [sleeper(), sleeper(), sleeper()];
    const gone: string[] = [];
    poller.watch(a.pid, a.startTime, () => gone.push('a'));
    poller.watch(b.pid, b.startTime, () => gone.push('b'))();
    poller.watch(c.pid, c.startTime, () => gone.push('c'));
    for (const { child } of [a, b]) child.kill('SIGKILL');
    expect(await until(() => gone.length > 0, { timeout: 30_000, every: 5 })).toBe(true);
    c.child.kill('SIGKILL');
    expect(await until(() => gone.includes('c'), { timeout: 30_000, every: 5 })).toBe(true);
    expect(gone).toEqual(['a', 'c']);
    poller.close();
  });

  test('tells of a process that is gone already', async () => {
    const poller = exitPoller(5);
    const told = await new Promise<string>((done) => {
      poller.watch(4_100_000, 1, () => done('gone'));
    });
    expect(told).toBe('gone');
    poller.close();
  });
});
