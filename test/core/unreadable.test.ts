import { describe, expect, test } from 'bun:test';
import { decide } from '../../agent/core/decide.ts';
import { factsOf } from '../../agent/core/facts.ts';
import { receive, renewWith } from '../../agent/core/lease.ts';
import { openingVoters, quorumSize } from '../../agent/core/procedures/opening.ts';
import { nextTimeline } from '../../agent/core/procedures/promotion_records.ts';
import { mayWipe } from '../../agent/core/procedures/rejoin.ts';
import { syncStep } from '../../agent/core/procedures/sync.ts';
import { answerVote } from '../../agent/core/procedures/vote.ts';
import type { View } from '../../agent/core/records.ts';
import { unknownNode } from '../../agent/core/unreadable.ts';
import {
  activeFacts,
  facts,
  historyRecord,
  leaseRecord,
  node,
  pgFacts,
  primary,
  syncRecord,
  vote,
  voter,
} from './build.ts';
import { Stage } from './stage.ts';

/** The view as it would be with those keys unreadable, and nothing known of them from before. */
function blind(stage: Stage, ...keys: string[]): View {
  const view = {
    ...stage.store.view(),
    unreadable: Object.fromEntries(keys.map((key) => [key, 'it is empty'])),
  };
  for (const key of keys) {
    if (key === 'next_master') view.lease = null;
    if (key === 'sync') view.sync = null;
    if (key === 'cluster') view.cluster = null;
    if (key === 'config') view.config = null;
    if (key.startsWith('nodes/')) view.nodes = { ...view.nodes, [key.slice(6)]: unknownNode() };
  }
  return view;
}
const services = { running: ['worker'], missing: [], missingAlways: [] };

describe('a decisive key that is not understood', () => {
  test.each(['next_master', 'cluster', 'sync'])('%s: the active goes on, and changes nothing', (key) => {
    const stage = new Stage();
    const n = node('a', stage, { fence: { state: 'open' }, db: { facts: primary() } });
    stage.sees(n);
    expect(stage.run(renewWith(n, []))).toBe('ok');
    receive(n, blind(stage, key));
    const decision = decide(factsOf(n, primary(), services, { mayWipe: false, mayFollow: true }));
    expect([decision.rule, decision.actions]).toEqual([240, []]);
    expect(decision.reason).toContain(key);
    expect(stage.run(renewWith(n, []))).toBe('ok');
  });
  test.each(['next_master', 'cluster', 'sync'])('%s: a restarted agent founds nothing', (key) => {
    const stage = new Stage();
    const n = node('a', stage);
    receive(n, blind(stage, key));
    expect(decide(factsOf(n, primary(), services, { mayWipe: false, mayFollow: true })).rule).not.toBe(405);
    const found = facts({ faults: [key], sync: null, members: ['b'], lease: { state: 'absent' } });
    expect(decide(found).rule).toBe(240);
  });
  test('sync: nobody challenges, votes or wipes', () => {
    const expired = { state: 'other' as const, still: 30_000 };
    expect(decide(facts({ faults: ['sync'], lease: expired })).rule).toBe(240);
    const stage = new Stage();
    const n = node('c', stage);
    stage.sees(n);
    stage.now += 10_000;
    receive(n, blind(stage, 'sync'));
    stage.on('pg.facts', () => pgFacts({ upstreamHost: null }));
    const reply = stage.run(answerVote(n, { index: n.lease.index, candidate: 'b' }));
    expect(reply).toEqual({ kind: 'refused', why: 'cannot read sync' });
    const stale = blind(stage, 'sync');
    stale.sync = { value: syncRecord({ voters: [] }), index: Number.MAX_SAFE_INTEGER };
    receive(n, stale);
    expect(mayWipe(n)).toBe(false);
  });
  test('a right that has run out fences all the same', () => {
    expect(decide(activeFacts({ faults: ['sync'], lease: { right: 0 } })).rule).toBe(200);
  });
  test('next_master: what cannot be read has not stood still, and is not "never written"', () => {
    const stage = new Stage();
    const n = node('b', stage);
    stage.sees(n);
    stage.now += 30_000;
    receive(n, blind(stage, 'next_master'));
    const seen = factsOf(n, pgFacts(), services, { mayWipe: false, mayFollow: true });
    expect(seen.lease).toMatchObject({ state: 'other', holder: 'a', still: 0 });
    const fresh = node('b', stage);
    receive(fresh, blind(stage, 'next_master'));
    expect(factsOf(fresh, pgFacts(), services, { mayWipe: false, mayFollow: true }).lease.state).toBe(
      'unknown',
    );
  });
  test('next_master, written over by somebody: the holder is refused, and its right ends as it would have', () => {
    const stage = new Stage();
    const n = node('a', stage, { fence: { state: 'open' }, db: { facts: primary() } });
    stage.sees(n);
    stage.run(renewWith(n, []));
    const until = n.lease.right?.until;
    stage.store.put('next_master', leaseRecord({ holder: 'x' }));
    stage.on('consul.read', () => blind(stage, 'next_master'));
    expect(stage.run(renewWith(n, []))).not.toBe('ok');
    expect(n.lease.right?.until).toBe(until as number);
  });
});

describe('a record of one node that is not understood', () => {
  test('it stays a member: as many have to confirm as before, and it is not taken off the list', () => {
    const stage = new Stage();
    const senders = ['b_b1', 'c_c1'].map((name) => ({
      name,
      state: 'streaming',
      sent: 1000n,
      flush: 1000n,
      replay: 1000n,
    }));
    const n = node('a', stage, { fence: { state: 'open' }, db: { facts: primary({ walSenders: senders }) } });
    stage.sees(n);
    stage.run(renewWith(n, []));
    const before = quorumSize(n);
    receive(n, blind(stage, 'nodes/c', 'state/c'));
    expect(quorumSize(n)).toBe(before);
    stage.on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders }));
    stage.on('consul.read', () => blind(stage, 'nodes/c', 'state/c'));
    stage.run(syncStep(n));
    expect(stage.store.sync.voters).toEqual([voter('b'), voter('c')]);
  });
  test('its vote counts as any other', () => {
    const stage = new Stage();
    const n = node('b', stage, {
      candidacy: { mandate: { kind: 'votes', epoch: 6, votes: [vote('b'), vote('c')] } },
    });
    stage.sees(n);
    receive(n, blind(stage, 'nodes/c'));
    expect(openingVoters(n).voters).toEqual([voter('c')]);
  });
  test('history that cannot be read may hold a number: none near it is taken', () => {
    const stage = new Stage();
    stage.store.put('history/5', historyRecord());
    const n = node('b', stage);
    stage.sees(n);
    const plain = nextTimeline(n, 3);
    receive(n, blind(stage, 'history/6', 'history/7'));
    expect(nextTimeline(n, 3)).toBeGreaterThan(plain + 1);
  });
});

describe("the cluster's config", () => {
  const config = { schema: 1, version: 1, paused: false, pausedUntil: null, synchronousMode: 'quorum' };
  /** Its own file has less than the cluster asks for. */
  function lax(stage: Stage) {
    const n = node('b', stage);
    n.policy = { ...n.policy, synchronousMode: 'off' };
    return n;
  }

  test('its mode holds, not the own file; what was once read holds on while it cannot be read', () => {
    const stage = new Stage();
    stage.store.put('config', config);
    const n = lax(stage);
    stage.sees(n);
    expect(n.policy.synchronousMode).toBe('quorum');
    receive(n, blind(stage, 'config'));
    expect(n.policy.synchronousMode).toBe('quorum');
  });
  test('never read by this process, it may ask for the strictest: the own file loosens nothing', () => {
    const stage = new Stage();
    stage.store.put('config', config);
    stage.store.put('sync', syncRecord({ voters: [], k: 0 }));
    const n = lax(stage);
    receive(n, blind(stage, 'config'));
    expect(n.policy.synchronousMode).toBe('strict');
    // What the only leader acknowledged alone is on no other copy: nobody takes over by the file's `off`.
    const ballot = {
      index: n.lease.index,
      syncIndex: 1,
      own: vote('b'),
      votes: {},
      refused: {},
      at: stage.now,
    };
    n.candidacy.ballot = ballot;
    const seen = factsOf(n, pgFacts(), services, { mayWipe: false, mayFollow: true });
    expect(seen.ballot?.verdict.kind).toBe('must-not');
    stage.sees(n);
    expect(n.policy.synchronousMode).toBe('quorum');
  });
  test('where there is none, the own file holds', () => {
    const stage = new Stage();
    const n = lax(stage);
    stage.sees(n);
    receive(n, blind(stage, 'config'));
    expect(n.policy.synchronousMode).toBe('off');
  });
});
