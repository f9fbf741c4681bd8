import { describe, expect, test } from 'bun:test';
import { branchOf, type Towards } from '../../agent/core/branch.ts';
import { factsOf } from '../../agent/core/facts.ts';
import { defaultPolicy } from '../../agent/core/policy.ts';
import type { PgFacts, Position } from '../../agent/core/postgres.ts';
import type { LeaseRecord } from '../../agent/core/records.ts';
import { unfitnessSeen } from '../../agent/core/target.ts';
import {
  durable,
  historyRecord,
  leaseRecord,
  type NodeOver,
  node,
  nodeRecord,
  pgFacts,
  primary,
  requestRecord,
  stateRecord,
  stood,
  stopped,
  syncRecord,
  voter,
} from './build.ts';
import { Stage } from './stage.ts';

const services = { running: [], missing: [], missingAlways: [] };
const streams = (name: string) => ({ name, state: 'streaming', sent: 1000n, flush: 1000n, replay: 1000n });
const ours = primary({ walSenders: [streams('b_b1'), streams('c_c1')] });

function seenBy(
  name: string,
  change: (s: Stage) => void = () => {},
  pg: PgFacts = pgFacts(),
  over: NodeOver = {},
) {
  const stage = new Stage();
  change(stage);
  const n = node(name, stage, over);
  stage.sees(n);
  return { stage, n, facts: factsOf(n, pg, services, { mayWipe: false, mayFollow: true }) };
}
const lease = (over: Parameters<typeof leaseRecord>[0]) => (s: Stage) =>
  s.store.put('next_master', leaseRecord(over));

describe('the lease as a fact', () => {
  test.each<[string, string, (s: Stage) => void, string]>([
    ['held under the own name and instance', 'a', () => {}, 'mine'],
    ['held by another', 'b', () => {}, 'other'],
    ['held under the own name by another instance', 'a', lease({ instance: 'boot-a0' }), 'impostor'],
    ['handed over, not confirmed yet', 'b', lease({ holder: 'b', instance: '' }), 'offered'],
    ['released', 'b', lease({ holder: '', instance: '' }), 'free'],
    ['never written', 'b', (s) => s.store.drop('next_master'), 'absent'],
  ])('%s', (_, name, change, state) => expect(seenBy(name, change).facts.lease.state).toBe(state as never));
  test('nothing was ever read: unknown, and Consul unreachable', () => {
    const n = node('b', new Stage());
    const facts = factsOf(n, pgFacts(), services, { mayWipe: false, mayFollow: false });
    expect([facts.lease.state, facts.consul]).toEqual(['unknown', 'unreachable']);
  });
  test('a holder that gave up renewing and whose right is over sees it as one to challenge like any', () => {
    expect(seenBy('a', () => {}, pgFacts(), { holding: { renewing: false } }).facts.lease.state).toBe(
      'impostor',
    );
  });
  test('no word from Consul for renew_deadline: unreachable', () => {
    const { stage, n } = seenBy('b');
    stage.now += n.policy.renewDeadline + 1;
    expect(factsOf(n, pgFacts(), services, { mayWipe: false, mayFollow: true }).consul).toBe('unreachable');
  });
});

describe('foreign data', () => {
  const foreign = (pg: Partial<PgFacts>, over: NodeOver = {}) =>
    seenBy('b', () => {}, pgFacts(pg), over).facts.foreign;
  test('another system id, another cluster, an older incarnation', () => {
    expect(foreign({ systemId: 'other' })).toBe('system');
    expect(foreign({}, { copy: { durable: durable('b', { clusterId: 'other' }) } })).toBe('cluster');
    expect(foreign({}, { copy: { durable: durable('b', { incarnation: 2 }) } })).toBe('incarnation');
  });
  test('the own one, or none known yet, is not', () => {
    expect(foreign({})).toBe('no');
    expect(foreign({ systemId: null }, { copy: { durable: durable('b', { clusterId: null }) } })).toBe('no');
  });
});

describe('a request', () => {
  const asked = (
    over: Parameters<typeof requestRecord>[0] = {},
    change: (s: Stage) => void = () => {},
    pg: PgFacts = ours,
  ) =>
    seenBy(
      'a',
      (s) => {
        s.store.put('request', requestRecord(over));
        change(s);
      },
      pg,
    ).facts.request;
  test('for a fit target of this epoch is neither expired nor unfit', () =>
    expect(asked()).toEqual({
      id: 'r1',
      target: 'b',
      by: 'test',
      expired: false,
      unfit: null,
      waiting: null,
    }));
  test('of another epoch, or past its time, is expired', () => {
    expect(asked({ epoch: 4 })?.expired).toBe(true);
    expect(asked({ expires: 0 })?.expired).toBe(true);
  });
  test('that was refused is none any more', () => expect(asked({ refused: 'no' })).toBeNull());
  test.each<[string, (s: Stage) => void, string]>([
    ['a node that does not exist', (s) => s.store.drop('nodes/b'), 'there is no such node'],
    [
      'a node in maintenance',
      (s) => s.store.put('nodes/b', nodeRecord('b', { maintenance: true })),
      'it is in maintenance',
    ],
    [
      'a node that must be rewound',
      (s) => s.store.put('state/b', stateRecord('b', { wants: 'rewind' })),
      'its data needs a rewind',
    ],
    [
      'a node whose checks fail',
      (s) => s.store.put('state/b', stateRecord('b', { failing: ['disk'] })),
      'its checks fail: disk',
    ],
    ['a node that is down', (s) => s.store.put('state/b', stateRecord('b', { role: 'down' })), 'it is down'],
  ])('for %s is unfit, and says why', (_, change, why) => expect(asked({}, change)?.unfit).toBe(why));
  test('for a node that was just copied again waits until it streams as the new copy', () => {
    const copied = (s: Stage) => s.store.put('state/b', stateRecord('b', { clone: 'b2' }));
    expect(asked({}, copied)).toMatchObject({ waiting: 'it is not streaming', unfit: null });
  });
  test('for a node that never streams is unfit in the end', () => {
    const { n, stage } = seenBy('a', (s) => s.store.put('request', requestRecord()), ours, {
      main: { requestSeen: { id: 'r1', at: 0 } },
    });
    stage.now = n.policy.switchoverWait + 1;
    const seen = factsOf(n, { ...ours, walSenders: [] }, services, { mayWipe: false, mayFollow: true });
    expect(seen.request?.unfit).toBe('it is not streaming');
  });
  test('for the active itself is unfit', () => {
    const { n } = seenBy('a');
    expect(unfitnessSeen(n.view as never, 'a')).toBe('it is already the active');
  });
  test('of a switchover that was tried and cancelled is unfit with the reason of that', () => {
    const { n } = seenBy('a', (s) => s.store.put('request', requestRecord()), ours, {
      main: { requestRefused: { id: 'r1', why: 'b hung' } },
    });
    expect(factsOf(n, ours, services, { mayWipe: false, mayFollow: true }).request?.unfit).toBe('b hung');
  });
});

describe('the best standby for a failing active', () => {
  const fit = (change: (s: Stage) => void = () => {}, pg: PgFacts = ours) =>
    seenBy('a', change, pg).facts.fit;
  test('priority, then name', () => {
    expect(fit()).toBe('b');
    expect(fit((s) => s.store.put('nodes/c', nodeRecord('c', { priority: 200 })))).toBe('c');
  });
  test('not one that is tagged nofailover, or failed as active not long ago', () => {
    expect(fit((s) => s.store.put('nodes/b', nodeRecord('b', { nofailover: true })))).toBe('c');
    expect(fit((s) => s.store.put('state/b', stateRecord('b', { cooldown: true })))).toBe('c');
  });
  test('nobody streams: nobody', () => expect(fit(() => {}, primary())).toBeNull());
});

describe('a pause', () => {
  const paused = (over: object) =>
    seenBy('a', (s) =>
      s.store.put('config', {
        schema: 1,
        version: 1,
        synchronousMode: 'quorum',
        paused: true,
        pausedUntil: null,
        ...over,
      }),
    ).facts.paused;
  test('holds until it is lifted, or until its time', () => {
    expect(paused({})).toBe(true);
    expect(paused({ pausedUntil: Date.UTC(2027, 0, 1) })).toBe(true);
    expect(paused({ pausedUntil: Date.UTC(2025, 0, 1) })).toBe(false);
    expect(paused({ paused: false })).toBe(false);
  });
});

describe('the own branch', () => {
  const at = (timeline: number, replayed: bigint, settled = true) => ({
    timeline,
    lsn: replayed,
    replayed,
    settled,
  });
  const sync = syncRecord({
    timeline: 4,
    history: [
      { tli: 1, lsn: '500' },
      { tli: 3, lsn: '1000' },
    ],
  });
  const history = [{ tli: 1, lsn: 500n }];
  test('an ancestor up to the fork can follow, past it has diverged', () => {
    expect(branchOf(at(3, 1000n), history, sync)).toEqual({ kind: 'contained' });
    expect(branchOf(at(3, 1001n), history, sync)).toEqual({ kind: 'diverged', fork: { tli: 3, lsn: 1000n } });
  });
  test('a timeline that `sync` does not know yet is newer, not diverged', () =>
    expect(branchOf(at(5, 2000n), history, sync)).toEqual({ kind: 'newer' }));
  test('a position that is not settled says nothing', () =>
    expect(branchOf(at(3, 900n, false), history, sync)).toBeNull());
});

describe('the own data against the holder', () => {
  const at = (over: Partial<Position>) => ({
    pg: pgFacts({ position: { timeline: 3, lsn: 1000n, replayed: 1000n, settled: true, ...over } }),
  });
  const taken = { holder: 'c', instance: 'boot-c', epoch: 6, from: 'a', stood: stood({ lsn: '1000' }) };
  const forks = [{ tli: 1, lsn: 500n }];
  test.each<[string, Partial<Position>, Partial<LeaseRecord>, Towards]>([
    ['level with the holder when it took the lease', {}, taken, 'prefix'],
    ['behind it', { lsn: 900n, replayed: 900n }, taken, 'prefix'],
    ['ahead of it', { lsn: 1100n, replayed: 1100n }, taken, 'foreign'],
    ['past it by an unfinished record', { lsn: 1010n, idle: true }, taken, 'prefix'],
    ['past it, and not all of that replayed yet', { lsn: 1010n, idle: false }, taken, 'unknown'],
    ['on an older timeline, before it was left', { timeline: 1, lsn: 500n, replayed: 500n }, taken, 'prefix'],
    ['on an older timeline, past that', { timeline: 1, lsn: 501n, replayed: 501n }, taken, 'foreign'],
    ['on a later timeline than the holder', { timeline: 4 }, taken, 'foreign'],
    ['not settled', { settled: false }, taken, 'unknown'],
    ['of a holder that does not tell where it stood', {}, { ...taken, stood: undefined }, 'unknown'],
  ])('%s', (_, position, record, expected) => {
    const { pg } = at(position);
    const branchHistory = position.timeline === 1 ? [] : forks;
    expect(seenBy('b', lease(record), pg, { db: { history: branchHistory } }).facts.towards).toBe(expected);
  });
  test('on the timeline that this promotion reserved: it can only have it from the holder', () => {
    const change = (s: Stage) => {
      lease(taken)(s);
      s.store.put('history/6', historyRecord({ epoch: 6, holder: 'c', timeline: 9 }));
    };
    const branchHistory = [...forks, { tli: 3, lsn: 990n }];
    const { pg } = at({ timeline: 9, lsn: 5000n, replayed: 5000n });
    expect(seenBy('b', change, pg, { db: { history: branchHistory } }).facts.towards).toBe('prefix');
  });
  test('once the holder has opened, `sync` tells its branch', () => {
    const change = (s: Stage) => {
      lease({ ...taken, stood: stood({ lsn: '1000' }) })(s);
      const history = [
        { tli: 1, lsn: '500' },
        { tli: 3, lsn: '990' },
      ];
      s.store.put('sync', syncRecord({ leader: 'c', epoch: 6, timeline: 9, history }));
    };
    const seen = (lsn: bigint) =>
      seenBy('b', change, at({ lsn, replayed: lsn }).pg, { db: { history: forks } });
    expect(seen(990n).facts.towards).toBe('prefix');
    expect(seen(995n).facts.towards).toBe('foreign');
  });
});

describe('facts', () => {
  test('are frozen, and the own vote list and clone decide who is a voter', () => {
    const { facts } = seenBy('b');
    expect(Object.isFrozen(facts)).toBe(true);
    expect(facts.sync).toEqual({ leader: false, epoch: 5, voter: true, voters: 2 });
    const cloned = seenBy('b', (s) => s.store.put('sync', syncRecord({ voters: [voter('b', 'b0')] })));
    expect(cloned.facts.sync?.voter).toBe(false);
  });
  test('following is told by the address of the holder, not of the active', () => {
    expect(seenBy('b', undefined, undefined, { db: { comparedEpoch: 5 } }).facts.followsHolder).toBe(true);
  });
  test('an upstream that was set under an earlier epoch was not compared with this holder', () => {
    expect(seenBy('b').facts.followsHolder).toBe(false);
    expect(seenBy('b', undefined, undefined, { db: { comparedEpoch: 4 } }).facts.followsHolder).toBe(false);
  });
  test('following another than the holder is no following', () => {
    expect(seenBy('b', lease({ holder: 'c', epoch: 6 })).facts.followsHolder).toBe(false);
    expect(seenBy('b', () => {}, stopped({ upstreamHost: null })).facts.followsHolder).toBe(false);
  });
});

test('a restarted agent beside a primary has no longer than the record in Consul tells challengers, whatever its own times are', () => {
  const slow = { ...defaultPolicy, retryPeriod: 3000, renewDeadline: 12_000, leaseDuration: 18_000 };
  const quick = lease({ times: { renewDeadline: 2000, leaseDuration: 3000 } });
  expect(seenBy('a', quick, primary(), { policy: slow }).facts.startGrace).toBe(750);
  const own = lease({ times: { renewDeadline: 12_000, leaseDuration: 18_000 } });
  expect(seenBy('a', own, primary(), { policy: slow }).facts.startGrace).toBe(4500);
});
