import { describe, expect, test } from 'bun:test';
import type { ConfigRecord } from '../../agent/core/config_record.ts';
import { factsOf } from '../../agent/core/facts.ts';
import { acceptOffer, giveAway, receive, renewWith, takeOver } from '../../agent/core/lease.ts';
import { clusterTimes, timesProblem } from '../../agent/core/lease_times.ts';
import type { NodeContext } from '../../agent/core/node.ts';
import { defaultPolicy, timesOf } from '../../agent/core/policy.ts';
import { askFailsafe } from '../../agent/core/procedures/failsafe.ts';
import { answerVote } from '../../agent/core/procedures/vote.ts';
import { leaseRecord, type NodeOver, node, pgFacts } from './build.ts';
import { Stage } from './stage.ts';

const TRIPLE = { retryPeriod: 3000, renewDeadline: 12_000, leaseDuration: 18_000, fencingTime: 1500 };
const FAST = { retryPeriod: 500, renewDeadline: 2000, leaseDuration: 3000, fencingTime: 700 };
const OWN = timesOf(defaultPolicy);

const config = (lease: unknown, version = 1): ConfigRecord => ({
  schema: 1,
  version,
  paused: false,
  pausedUntil: null,
  synchronousMode: 'quorum',
  lease,
});

function sees(stage: Stage, n: NodeContext, lease: unknown): void {
  stage.store.put('config', config(lease));
  stage.sees(n);
}

/** `a`, which holds the lease, with the cluster's times as given. */
function holder(lease?: unknown) {
  const stage = new Stage();
  const n = node('a', stage);
  if (lease === undefined) stage.sees(n);
  else sees(stage, n, lease);
  return { stage, n };
}

const seenBy = (n: NodeContext) =>
  factsOf(n, pgFacts(), { running: [], missing: [], missingAlways: [] }, { mayWipe: false, mayFollow: true })
    .policy;

describe('what is taken for times', () => {
  test('the defaults, the fast preset and three times the defaults', () => {
    for (const times of [OWN, FAST, TRIPLE]) expect(timesProblem(times)).toBeNull();
  });
  test.each([
    ['a text', { renewDeadline: '4000' }],
    ['nothing', { leaseDuration: undefined }],
    ['zero', { retryPeriod: 0 }],
    ['below zero', { retryPeriod: -1000 }],
    ['a fraction', { retryPeriod: 1000.5 }],
    ['no number', { retryPeriod: Number.NaN }],
    ['beyond all reason', { leaseDuration: 1e12 }],
    ['a renewal that has no second try', { renewDeadline: 1500 }],
    ['a right that outlasts the wait', { renewDeadline: 4500 }],
    ['a fencing that does', { fencingTime: 2000 }],
  ])('not %s', (_, change) => {
    expect(clusterTimes({ ...OWN, ...change }, OWN)).toHaveProperty('problem');
  });
  test('not what is no object; without a fencing time the own one is reckoned with', () => {
    for (const bad of [null, 'x', 7, [], true]) expect(clusterTimes(bad, OWN)).toHaveProperty('problem');
    const { fencingTime: _, ...rest } = FAST;
    expect(clusterTimes(rest, FAST)).toEqual({ times: FAST });
    expect(clusterTimes(rest, OWN)).toHaveProperty('problem');
  });
});

describe("the cluster's times", () => {
  test('are taken from the config key, said once, and gone by', () => {
    const { stage, n } = holder(TRIPLE);
    stage.sees(n);
    expect(timesOf(n.policy)).toEqual(TRIPLE);
    expect(n.timesNote).toContain('3/12/18 s');
    expect(stage.logs.filter((l) => l.message.includes("are not the cluster's"))).toHaveLength(1);
    const sent = stage.now;
    expect(stage.run(renewWith(n, []))).toBe('ok');
    expect(n.lease.right?.until).toBe(sent + 12_000);
    expect(stage.store.lease.times).toEqual({ renewDeadline: 12_000, leaseDuration: 18_000 });
  });
  test('are not taken from a view that is older than the one held', () => {
    const { stage, n } = holder(TRIPLE);
    const old = { ...stage.store.view(), index: 1 };
    old.config = { value: config(FAST), index: 1 };
    receive(n, old);
    expect(timesOf(n.policy)).toEqual(TRIPLE);
  });
  test('that are not usable are named, and the file goes on', () => {
    const { n } = holder({ ...OWN, leaseDuration: 5000 });
    expect(timesOf(n.policy)).toEqual(OWN);
    expect(n.timesNote).toContain('not usable (leaseDuration (5000) must be longer');
  });
  test('taken out again: the file, with nothing to say', () => {
    const { stage, n } = holder(TRIPLE);
    sees(stage, n, undefined);
    expect(timesOf(n.policy)).toEqual(OWN);
    expect(n.timesNote).toBeNull();
  });
  test('make the worst cases fit into the right', () => {
    const { n } = holder(FAST);
    expect(n.policy.worstCase).toEqual({ promote: 1000, start: 1000, open: 500 });
  });
});

describe('the right of the holder', () => {
  test('is never longer than its record tells challengers, nor than its own setting', () => {
    for (const [own, until] of [
      [TRIPLE, 12_000],
      [FAST, 2000],
    ] as const) {
      const { stage, n } = holder(own);
      stage.run(renewWith(n, []));
      const sent = stage.now;
      stage.run(renewWith(n, []));
      const times = stage.store.lease.times;
      expect(n.lease.right?.until).toBe(sent + until);
      expect(until).toBeLessThanOrEqual(times?.renewDeadline ?? 0);
      expect(until + n.policy.fencingTime).toBeLessThan(times?.leaseDuration ?? 0);
    }
  });
  test('ends so early that its own fencing fits into the wait', () => {
    const { stage, n } = holder();
    n.policy = { ...n.policy, renewDeadline: 5000 };
    const sent = stage.now;
    stage.run(renewWith(n, []));
    expect(n.lease.right?.until).toBe(sent + 6000 - 1500 - 1);
  });
  test('made shorter: short at once, told to challengers only when no longer one can still run', () => {
    const { stage, n } = holder(TRIPLE);
    const first = stage.now;
    stage.run(renewWith(n, []));
    sees(stage, n, FAST);
    stage.now = first + 1000;
    stage.run(renewWith(n, []));
    expect(n.lease.right?.until).toBe(first + 1000 + 2000);
    expect(stage.store.lease.times?.leaseDuration).toBe(18_000);
    stage.now = first + 9990;
    stage.run(renewWith(n, []));
    expect(stage.store.lease.times?.leaseDuration).toBe(18_000);
    stage.now = first + 10_000;
    stage.run(renewWith(n, []));
    expect(stage.store.lease.times).toEqual({ renewDeadline: 2000, leaseDuration: 3000 });
  });
  test('of the process before this one is reckoned with', () => {
    const stage = new Stage();
    stage.now = 50_000;
    stage.store.put('next_master', leaseRecord({ times: { renewDeadline: 12_000, leaseDuration: 18_000 } }));
    const n = node('a', stage);
    sees(stage, n, FAST);
    const seen = stage.now;
    stage.run(renewWith(n, []));
    expect(stage.store.lease.times?.leaseDuration).toBe(18_000);
    stage.now = seen + 10_000;
    stage.run(renewWith(n, []));
    expect(stage.store.lease.times?.leaseDuration).toBe(3000);
  });
  test('of an older process, whose record says nothing, is taken for that of the file', () => {
    const stage = new Stage();
    const n = node('a', stage, { fileTimes: TRIPLE });
    sees(stage, n, FAST);
    stage.run(renewWith(n, []));
    expect(stage.store.lease.times).toEqual({ renewDeadline: 12_000, leaseDuration: 18_000 });
  });
  test('is by what was sent, though the setting became longer before the answer came', () => {
    const { stage, n } = holder();
    stage.once('consul.txn', (ops) => {
      n.policy = { ...n.policy, ...TRIPLE };
      return stage.store.txn(ops);
    });
    const sent = stage.now;
    stage.run(renewWith(n, []));
    expect(n.lease.right?.until).toBe(sent + 4000);
  });
  test('an unknown write that was settled counts by what it said', () => {
    const { stage, n } = holder(TRIPLE);
    stage.once('consul.txn', stage.landedUnknown);
    const sent = stage.now;
    expect(stage.run(renewWith(n, []))).toBe('ok');
    expect(n.lease.right?.until).toBe(sent + 12_000);
  });
  test('in failsafe lasts no longer than any record that may be there', () => {
    const { stage, n } = holder(FAST);
    const agreed = () => {
      stage.on('peers.failsafe', () => ['b', 'c']);
      const asked = stage.now;
      expect(stage.run(askFailsafe(n))).toBe(true);
      return (n.lease.right?.until ?? 0) - asked;
    };
    stage.run(renewWith(n, []));
    expect(agreed()).toBe(2000);
    stage.now += 3000;
    // Under way with the short times; then the times are made longer, and nobody knows what Consul has.
    stage.once('consul.txn', stage.lostUnknown).once('consul.read', () => 'unknown');
    stage.run(renewWith(n, []));
    n.policy = { ...n.policy, ...TRIPLE };
    n.lease = {
      ...n.lease,
      record: leaseRecord({ times: { renewDeadline: 12_000, leaseDuration: 18_000 } }),
    };
    n.lease = { ...n.lease, right: { epoch: 5, until: stage.now + 100 } };
    expect(agreed()).toBe(2000);
  });
});

describe('who waits', () => {
  const told = (times?: { renewDeadline: number; leaseDuration: number }, own?: NodeOver) => {
    const stage = new Stage();
    stage.store.put('next_master', leaseRecord(times === undefined ? {} : { times }));
    const n = node('b', stage, own);
    stage.sees(n);
    return { stage, n };
  };
  test('goes by the record it sees, be it longer or shorter than its own settings', () => {
    for (const times of [
      { renewDeadline: 12_000, leaseDuration: 18_000 },
      { renewDeadline: 2000, leaseDuration: 3000 },
    ])
      expect(seenBy(told(times).n)).toMatchObject(times);
  });
  test('for a record without times, of an older agent: the longest that is known', () => {
    const older = { renewDeadline: 12_000, leaseDuration: 18_000 };
    expect(seenBy(told().n)).toMatchObject({ renewDeadline: 4000, leaseDuration: 6000 });
    expect(seenBy(told(undefined, { fileTimes: TRIPLE }).n)).toMatchObject(older);
    expect(seenBy(told(undefined, { policy: { ...defaultPolicy, ...TRIPLE } }).n)).toMatchObject(older);
  });
  test('a voter refuses until the deadline that the record says', () => {
    const { stage, n } = told({ renewDeadline: 12_000, leaseDuration: 18_000 });
    const ask = () => stage.run(answerVote(n, { index: n.lease.index, candidate: 'c' }));
    stage.now += 11_999;
    expect(ask()).toMatchObject({ kind: 'refused', why: expect.stringContaining('12000 ms') });
    stage.now += 1;
    stage.on('pg.facts', () => pgFacts({ upstreamHost: null }));
    expect(ask()).toMatchObject({ kind: 'vote' });
  });
});

test('every record says by what its writer goes: taken, offered, accepted, released', () => {
  const stage = new Stage();
  const b = node('b', stage);
  sees(stage, b, TRIPLE);
  const times = { renewDeadline: 12_000, leaseDuration: 18_000 };
  expect(stage.run(takeOver(b, b.lease.index, b.view?.sync?.index ?? 0, 'test'))).toBe('ok');
  expect(stage.store.lease.times).toEqual(times);
  expect(stage.run(giveAway(b, 'c', 'test', null, null))).toBe('ok');
  expect(stage.store.lease.times).toEqual(times);
  const c = node('c', stage);
  stage.sees(c);
  receive(c, stage.store.view());
  const sent = stage.now;
  expect(stage.run(acceptOffer(c))).toBe('ok');
  expect(stage.store.lease.times).toEqual(times);
  expect(c.lease.right?.until).toBe(sent + 12_000);
});
