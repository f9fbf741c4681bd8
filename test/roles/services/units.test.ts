import { describe, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { until } from '../../../agent/platform/clock.ts';
import { readStat } from '../../../agent/platform/procfs.ts';
import { exitPoller } from '../../../agent/roles/services/poller.ts';
import { stopTracker } from '../../../agent/roles/services/stops.ts';

describe('stops', () => {
  test('are counted as under way from the call on, beside each other, until the last has ended', async () => {
    const stops = stopTracker();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const both = [stops.track('a', () => first.promise), stops.track('a', () => second.promise)];
    expect([stops.underWay('a'), stops.underWay('b'), stops.count('a')]).toEqual([true, false, 2]);
    first.resolve();
    await both[0];
    expect(stops.underWay('a')).toBe(true);
    second.resolve();
    await stops.settled('a');
    await both[1];
    expect(stops.underWay('a')).toBe(false);
  });

  test('that fail are over too', async () => {
    const stops = stopTracker();
    await expect(stops.track('a', () => Promise.reject(new Error('stuck')))).rejects.toThrow('stuck');
    expect(stops.underWay('a')).toBe(false);
  });
});

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
