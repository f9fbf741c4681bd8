import { describe, expect, test } from 'bun:test';
import { type Check, type CheckResult, fail, type NodeRole, pass, skip } from '../../agent/checks/port.ts';
import { Runner } from '../../agent/checks/runner.ts';
import type { CheckName, CheckSettings } from '../../agent/config/index.ts';
import { testLog } from '../fixtures/log.ts';
import { virtualTime } from './virtual_time.ts';

const settings: CheckSettings = {
  group: 'database',
  every: 1000,
  ttl: 5000,
  critical: true,
  rise: 2,
  fall: 3,
};

/** A check whose answers a test sets; `starts` are the times of its runs. */
function fakeCheck(
  name: CheckName,
  over: { limit?: number; ofRole?: boolean; settings?: Partial<CheckSettings> } = {},
) {
  const fake = {
    answer: async (): Promise<CheckResult> => pass('well'),
    starts: [] as number[],
    aborted: 0,
    underWay: 0,
    most: 0,
    closed: 0,
  };
  return {
    ...over,
    fake,
    build: (now: () => number): { check: Check; settings: CheckSettings; limit: number } => ({
      settings: { ...settings, ...over.settings },
      limit: over.limit ?? 750,
      check: {
        name,
        ...(over.ofRole === undefined ? {} : { ofRole: over.ofRole }),
        close: () => {
          fake.closed++;
        },
        async run({ signal }) {
          fake.starts.push(now());
          fake.most = Math.max(fake.most, ++fake.underWay);
          signal.addEventListener('abort', () => fake.aborted++);
          try {
            return await fake.answer();
          } finally {
            fake.underWay--;
          }
        },
      },
    }),
  };
}

function setUp(checks: ReturnType<typeof fakeCheck>[], over: { failFast?: boolean } = {}) {
  const time = virtualTime();
  const log = testLog();
  const state = { role: 'active' as NodeRole, changes: 0 };
  const runner = new Runner({
    checks: checks.map((check) => check.build(() => time.clock.now())),
    failFast: over.failFast ?? true,
    role: () => state.role,
    clock: time.clock,
    timers: time.timers,
    log: log.for('check-runner'),
  });
  runner.onChange(() => state.changes++);
  return { ...time, runner, state, messages: log.messages };
}

const never = () => new Promise<CheckResult>(() => {});

describe('when checks run', () => {
  test('each runs at the start and then in its own rhythm', async () => {
    const fast = fakeCheck('postgres_select');
    const slow = fakeCheck('consul', { settings: { every: 3000 } });
    const { runner, pass } = setUp([fast, slow]);
    runner.start();
    await pass(6000);
    expect(fast.fake.starts).toEqual([0, 1000, 2000, 3000, 4000, 5000, 6000]);
    expect(slow.fake.starts).toEqual([0, 3000, 6000]);
  });

  test('a run that takes longer than the rhythm is not joined by a second one; the next follows its end', async () => {
    const check = fakeCheck('consul', { limit: 5000 });
    const { runner, pass: elapse, timers } = setUp([check]);
    check.fake.answer = () => new Promise((done) => timers.after(1700, () => done(pass('slow'))));
    runner.start();
    await elapse(5000);
    expect(check.fake.starts).toEqual([0, 1700, 3400]);
    expect(check.fake.most).toBe(1);
  });

  test('a poke runs it now; while it runs, once more afterwards', async () => {
    const check = fakeCheck('services', { settings: { every: 3000 } });
    const { runner, pass: elapse, timers } = setUp([check]);
    runner.start();
    await elapse(500);
    runner.poke('services');
    await elapse(500);
    expect(check.fake.starts).toEqual([0, 500]);
    check.fake.answer = () => new Promise((done) => timers.after(200, () => done(pass('well'))));
    runner.poke('services');
    runner.poke('services');
    runner.poke('services');
    await elapse(1000);
    expect(check.fake.starts).toEqual([0, 500, 1000, 1200]);
    expect(check.fake.most).toBe(1);
  });

  test('a weak check is asked every second, so that a slow rhythm does not delay the verdict', async () => {
    const check = fakeCheck('services', { settings: { every: 3000 } });
    const { runner, pass: elapse } = setUp([check]);
    runner.start();
    await elapse(100);
    check.fake.answer = async () => fail('worker is not running');
    runner.poke('services');
    await elapse(2500);
    expect(check.fake.starts).toEqual([0, 100, 1100, 2100]);
    expect(runner.summary().failing).toEqual(['services']);
    await elapse(3000);
    expect(check.fake.starts.slice(4)).toEqual([5100]);
  });

  test('after stop nothing runs, nothing is counted and no timer is left', async () => {
    const hung = fakeCheck('postgres_select');
    const { runner, pass: elapse, state, pending } = setUp([hung]);
    let end: (result: CheckResult) => void = () => {};
    hung.fake.answer = () => new Promise((done) => (end = done));
    runner.start();
    await elapse(100);
    runner.stop();
    end(fail('too late'));
    await elapse(10_000);
    expect([hung.fake.starts, hung.fake.aborted, hung.fake.closed]).toEqual([[0], 1, 1]);
    expect([pending(), state.changes, runner.summary().all]).toEqual([0, 0, {}]);
  });
});

describe('what a result counts for', () => {
  test('nothing is said of a check before its first result', async () => {
    const check = fakeCheck('postgres_select');
    const { runner } = setUp([check]);
    expect(runner.summary()).toEqual({ failing: [], weak: [], all: {} });
    expect(runner.reports()).toEqual([]);
  });

  test('a failing critical check is weak first and failing at its fall count; it passes at its rise count', async () => {
    const check = fakeCheck('postgres_select');
    const { runner, pass: elapse, messages } = setUp([check]);
    runner.start();
    await elapse(500);
    check.fake.answer = async () => fail('refused');
    const seen: string[] = [];
    for (let second = 0; second < 3; second++) {
      await elapse(1000);
      seen.push(`${runner.summary().weak} ${runner.summary().failing}`);
    }
    check.fake.answer = async () => pass('well');
    for (let second = 0; second < 2; second++) {
      await elapse(1000);
      seen.push(`${runner.summary().weak} ${runner.summary().failing}`);
    }
    expect(seen).toEqual([
      'postgres_select ',
      'postgres_select ',
      ' postgres_select',
      ' postgres_select',
      ' ',
    ]);
    expect(messages()).toEqual([
      'check-runner: postgres_select fails: refused',
      'check-runner: postgres_select passes again: well',
    ]);
  });

  test('a check that is not critical is reported, and neither failing nor weak', async () => {
    const check = fakeCheck('disk', { settings: { critical: false, fall: 1 } });
    check.fake.answer = async () => fail('full');
    const { runner, pass: elapse } = setUp([check]);
    runner.start();
    await elapse(0);
    expect(runner.summary()).toEqual({ failing: [], weak: [], all: { disk: { ok: false, output: 'full' } } });
  });

  test('listeners are called once for each change that shows, and not for repetitions', async () => {
    const check = fakeCheck('postgres_select');
    const { runner, pass: elapse, state } = setUp([check]);
    runner.start();
    await elapse(5500);
    expect(state.changes).toBe(1);
    check.fake.answer = async () => fail('refused');
    await elapse(10_000);
    // Weak, then failing.
    expect(state.changes).toBe(3);
  });

  test('a listener may poke the very check it hears of', async () => {
    const check = fakeCheck('postgres_select');
    check.fake.answer = async () => fail('refused');
    const { runner, pass: elapse } = setUp([check]);
    runner.onChange(() => runner.poke('postgres_select'));
    runner.start();
    await elapse(0);
    // Weak: poked. The second changes nothing that shows.
    expect(check.fake.starts).toEqual([0, 0]);
  });
});

describe('a run that does not end', () => {
  test('is aborted at its limit and counts as failed', async () => {
    const check = fakeCheck('postgres_select', { settings: { fall: 1 } });
    check.fake.answer = never;
    const { runner, pass: elapse } = setUp([check]);
    runner.start();
    await elapse(749);
    expect(runner.summary().failing).toEqual([]);
    await elapse(1);
    expect(runner.summary().failing).toEqual(['postgres_select']);
    expect(runner.summary().all.postgres_select?.output).toBe('did not end within 750 ms');
    expect(check.fake.aborted).toBe(1);
  });

  test('counts again each time it is due, so that a check stuck for good reaches its fall count; it is never doubled', async () => {
    const check = fakeCheck('postgres_select');
    check.fake.answer = never;
    const { runner, pass: elapse } = setUp([check]);
    runner.start();
    await elapse(2700);
    expect(runner.summary().failing).toEqual(['postgres_select']);
    await elapse(10_000);
    expect(check.fake.starts).toEqual([0]);
  });

  test('hangs on: a server that answers no fresh connection is failing after fall count times the rhythm', async () => {
    const check = fakeCheck('postgres_select');
    const { runner, pass: elapse, timers } = setUp([check]);
    runner.start();
    await elapse(100);
    check.fake.answer = () => new Promise((done) => timers.after(760, () => done(pass('too late'))));
    await elapse(3600);
    expect(runner.summary().failing).toEqual([]);
    await elapse(50);
    expect(runner.summary().failing).toEqual(['postgres_select']);
  });

  test('what it says after its limit is not listened to', async () => {
    const check = fakeCheck('postgres_select', { settings: { fall: 1 } });
    const { runner, pass: elapse, timers } = setUp([check]);
    check.fake.answer = () => new Promise((done) => timers.after(900, () => done(pass('late'))));
    runner.start();
    await elapse(950);
    expect(runner.summary().all.postgres_select).toEqual({ ok: false, output: 'did not end within 750 ms' });
  });

  test('does not count when the agent itself stood still: its limit then says nothing about what it asked', async () => {
    const check = fakeCheck('postgres_select', { settings: { fall: 1 } });
    const { runner, pass: elapse, freeze } = setUp([check]);
    check.fake.answer = never;
    runner.start();
    await elapse(100);
    freeze(60_000);
    await elapse(0);
    expect(runner.summary()).toEqual({ failing: [], weak: [], all: {} });
    expect(check.fake.aborted).toBe(1);
  });
});

describe('a thrown error', () => {
  const throws = () => Promise.reject(new Error('nothing could be found out'));

  test('counts at once with check_fail_fast', async () => {
    const check = fakeCheck('consul');
    const { runner, pass: elapse } = setUp([check]);
    runner.start();
    await elapse(500);
    check.fake.answer = throws;
    await elapse(3000);
    expect(runner.summary().failing).toEqual(['consul']);
    expect(runner.summary().all.consul?.output).toBe('nothing could be found out');
  });

  test('counts without check_fail_fast only once the TTL has passed since the last good result', async () => {
    const check = fakeCheck('consul');
    const { runner, pass: elapse, state } = setUp([check], { failFast: false });
    runner.start();
    await elapse(500);
    check.fake.answer = throws;
    await elapse(5000);
    expect(runner.summary()).toEqual({
      failing: [],
      weak: [],
      all: { consul: { ok: true, output: 'well' } },
    });
    expect(state.changes).toBe(1);
    await elapse(3000);
    expect(runner.summary().failing).toEqual(['consul']);
  });

  test('a result that says "failed" counts at once without check_fail_fast, too', async () => {
    const check = fakeCheck('postgres_port');
    check.fake.answer = async () => fail('refused');
    const { runner, pass: elapse } = setUp([check], { failFast: false });
    runner.start();
    await elapse(2000);
    expect(runner.summary().failing).toEqual(['postgres_port']);
  });
});

describe('the role', () => {
  test('a check that does not apply passes, and what it had counted before is forgotten', async () => {
    const check = fakeCheck('postgres_write', { ofRole: true });
    check.fake.answer = async () => fail('read-only');
    const { runner, pass: elapse, state } = setUp([check]);
    runner.start();
    await elapse(2500);
    expect(runner.summary().failing).toEqual(['postgres_write']);
    state.role = 'standby';
    check.fake.answer = async () => skip('not the active');
    await elapse(1000);
    expect(runner.summary()).toEqual({
      failing: [],
      weak: [],
      all: { postgres_write: { ok: true, output: 'not the active' } },
    });
  });

  test('failures as a standby do not count for the active that it becomes', async () => {
    const check = fakeCheck('postgres_following', { ofRole: true });
    check.fake.answer = async () => fail('does not stream');
    const { runner, pass: elapse, state } = setUp([check]);
    state.role = 'standby';
    runner.start();
    await elapse(1500);
    state.role = 'active';
    await elapse(1000);
    expect([runner.summary().failing, runner.summary().weak]).toEqual([[], ['postgres_following']]);
  });

  test('failures of the server itself do count on across a change of role', async () => {
    const check = fakeCheck('postgres_select');
    check.fake.answer = async () => fail('refused');
    const { runner, pass: elapse, state } = setUp([check]);
    runner.start();
    await elapse(1500);
    state.role = 'none';
    await elapse(1000);
    expect(runner.summary().failing).toEqual(['postgres_select']);
  });

  test('a result for a role that was left during the run is asked for anew', async () => {
    const check = fakeCheck('services', { ofRole: true, settings: { fall: 1 } });
    const { runner, pass: elapse, state, timers } = setUp([check]);
    check.fake.answer = () =>
      new Promise((done) => timers.after(300, () => done(fail('worker is not running'))));
    runner.start();
    await elapse(100);
    state.role = 'standby';
    check.fake.answer = async () => pass('all services run');
    await elapse(300);
    expect(check.fake.starts).toEqual([0, 300]);
    expect(runner.summary().all.services?.ok).toBe(true);
  });
});
