import { expect, test } from 'bun:test';
import type { ServiceExit } from '../../../agent/roles/services/driver.ts';
import { keepRunning } from '../../../agent/roles/services/keep_running.ts';

function stage(start: () => Promise<unknown> = async () => {}) {
  const listeners = new Set<(exit: ServiceExit) => void>();
  const waiting: { ms: number; callback: () => void }[] = [];
  const seen = { started: 0, ended: 0, failed: [] as unknown[] };
  const state = { wanted: true };
  const giveUp = keepRunning(
    {
      onExit(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    { name: 'consul' },
    {
      firstPause: 100,
      wanted: () => state.wanted,
      start: () => {
        seen.started += 1;
        return start();
      },
      ended: () => {
        seen.ended += 1;
      },
      failed: (thrown) => seen.failed.push(thrown),
      after: (ms, callback) => waiting.push({ ms, callback }),
    },
  );
  return {
    seen,
    state,
    giveUp,
    exit(change: Partial<ServiceExit> = {}) {
      for (const listener of listeners) listener({ name: 'consul', pid: 1, expected: false, ...change });
    },
    /** Lets the timer that is due at `ms` fire; how long the others are. */
    pass(ms: number) {
      const at = waiting.findIndex((one) => one.ms === ms);
      expect(at).toBeGreaterThanOrEqual(0);
      waiting.splice(at, 1)[0]?.callback();
    },
    pauses: () => waiting.map(({ ms }) => ms).filter((ms) => ms < 20_000),
  };
}

test('what ended by itself is started again after the pause, and only that', async () => {
  const it = stage();
  it.exit({ expected: true });
  it.exit({ name: 'syncthing' });
  expect([it.pauses(), it.seen.ended]).toEqual([[], 0]);
  it.exit();
  expect([it.pauses(), it.seen]).toEqual([[100], { started: 0, ended: 1, failed: [] }]);
  it.pass(100);
  expect(it.seen.started).toBe(1);
});

test('a stop that comes in the pause leaves it stopped', () => {
  const it = stage();
  it.exit();
  it.state.wanted = false;
  it.pass(100);
  it.exit();
  expect(it.seen).toEqual({ started: 0, ended: 1, failed: [] });
});

test('pauses double up to ten seconds, and are short again after a while', () => {
  const it = stage();
  for (let turn = 0; turn < 9; turn++) it.exit();
  expect(it.pauses()).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  it.pass(20_000);
  it.exit();
  expect(it.pauses().at(-1)).toBe(100);
});

test('a start that fails is told, and given up it hears of nothing more', async () => {
  const why = new Error('no');
  const it = stage(() => Promise.reject(why));
  it.exit();
  it.pass(100);
  await Promise.resolve();
  await Promise.resolve();
  expect(it.seen.failed).toEqual([why]);
  it.giveUp();
  it.exit();
  expect(it.seen.ended).toBe(1);
});
