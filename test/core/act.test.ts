import { describe, expect, test } from 'bun:test';
import { act } from '../../agent/core/act.ts';
import type { Action } from '../../agent/core/actions.ts';
import { renewWith } from '../../agent/core/lease.ts';
import type { Ballot } from '../../agent/core/memory/candidacy.ts';
import { leaseRecord, type NodeOver, node, pgFacts, primary, requestRecord, stopped, vote } from './build.ts';
import { Stage } from './stage.ts';

function agent(name: string, over: NodeOver = {}, change: (s: Stage) => void = () => {}) {
  const stage = new Stage();
  change(stage);
  const n = node(name, stage, over);
  stage.sees(n);
  const does = (action: Action) => stage.run(act(n, action, () => `${name}2`));
  return { stage, n, does };
}

describe('acquire', () => {
  const challenger = () => {
    const a = agent('b', { db: { facts: pgFacts() } });
    const { stage, n } = a;
    stage.now += n.policy.leaseDuration;
    n.candidacy.ballot = {
      index: n.lease.index,
      syncIndex: n.view?.sync?.index ?? 0,
      own: vote('b'),
      votes: { c: vote('c') },
      refused: {},
      at: stage.now,
    } satisfies Ballot;
    return a;
  };
  test('gives a mandate with the votes that it was won by, for that epoch only', () => {
    const { n, does } = challenger();
    expect(does({ do: 'acquire', reason: 'test' })).toEqual({ ok: true });
    expect(n.candidacy.mandate).toEqual({ kind: 'votes', epoch: 6, votes: [vote('b'), vote('c')] });
    expect(n.candidacy.ballot).toBeNull();
  });
  test('counts the outage from the last sign of the holder', () => {
    const { stage, n, does } = challenger();
    const lastSign = n.lease.firstSeen;
    does({ do: 'acquire', reason: 'test' });
    expect(n.fence.outageSince).toBe(lastSign);
    expect(stage.now - lastSign).toBeGreaterThan(n.policy.leaseDuration);
  });
  test('lost, or of an unknown outcome: no mandate, and the votes are void', () => {
    const lost = challenger();
    lost.stage.store.put('next_master', leaseRecord({ seq: 41 }));
    expect(lost.does({ do: 'acquire', reason: 'test' }).ok).toBe(false);
    const unknown = challenger();
    unknown.stage.once('consul.txn', unknown.stage.lostUnknown);
    expect(unknown.does({ do: 'acquire', reason: 'test' }).ok).toBe(false);
    for (const { n } of [lost, unknown])
      expect([n.candidacy.mandate, n.candidacy.ballot]).toEqual([null, null]);
  });
  test('without votes nothing is asked of Consul, unless nobody ever founded the cluster', () => {
    const none = agent('b');
    expect(none.does({ do: 'acquire', reason: 'test' })).toEqual({ ok: false, why: 'no votes' });
    expect(none.stage.trace).toEqual([]);
    const founder = agent('a', {}, (s) => {
      s.store.drop('sync');
      s.store.drop('next_master');
    });
    expect(founder.does({ do: 'acquire', reason: 'first start' }).ok).toBe(true);
    expect(founder.n.candidacy.mandate).toEqual({ kind: 'founder', epoch: 1 });
  });
});

describe('accept', () => {
  const offered = (clean: boolean) =>
    agent('b', {}, (s) =>
      s.store.put(
        'next_master',
        leaseRecord({
          holder: 'b',
          instance: '',
          epoch: 6,
          from: 'a',
          clean: clean ? { timeline: 3, lsn: '990' } : null,
          closedForMs: 80,
        }),
      ),
    );
  test('a clean handover is a mandate without votes', () => {
    const { n, does } = offered(true);
    expect(does({ do: 'accept' })).toEqual({ ok: true });
    expect(n.candidacy.mandate).toEqual({ kind: 'handover', epoch: 6, timeline: 3, lsn: 990n, from: 'a' });
  });
  test('one without a confirmed clean stop is none', () => {
    const { n, does } = offered(false);
    does({ do: 'accept' });
    expect(n.candidacy.mandate).toBeNull();
  });
  test('an unknown outcome gives neither right nor mandate', () => {
    const { stage, n, does } = offered(true);
    stage.once('consul.txn', stage.lostUnknown);
    expect(does({ do: 'accept' }).ok).toBe(false);
    expect([n.lease.right, n.candidacy.mandate]).toEqual([null, null]);
  });
});

describe('founding', () => {
  const founder = () => {
    const a = agent('a', { db: { facts: stopped() } }, (s) => s.store.drop('sync'));
    a.stage.run(renewWith(a.n, []));
    a.stage.on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders: [] }));
    a.stage.trace.length = 0;
    return a;
  };
  test('shut, renewed, started, written down, opened', () => {
    const { stage, does } = founder();
    expect(does({ do: 'found' })).toEqual({ ok: true });
    expect(stage.order(/^txn/, /^pg\.start/, /^fence/)).toEqual([
      'fence.close',
      'txn next_master',
      'pg.startPrimary',
      'txn next_master sync active history/5',
      'fence.open',
    ]);
    expect(stage.store.sync).toMatchObject({ leader: 'a', epoch: 5, voters: [], k: 0 });
  });
  test('not without a confirmed lease', () => {
    const { stage, does } = founder();
    stage.once('consul.txn', stage.lostUnknown);
    expect(does({ do: 'found' }).ok).toBe(false);
    expect(stage.order(/^pg\.startPrimary/)).toEqual([]);
  });
});

describe('the others', () => {
  test('a standby starts cut off, with the voters that a promotion would open with', () => {
    const { stage, does } = agent('b', { db: { facts: stopped() } });
    does({ do: 'start_standby' });
    expect(stage.order(/^pg/)).toEqual(['pg.setUpstream', 'pg.setSyncList', 'pg.startStandby']);
    expect(stage.args('pg.setSyncList')[0]?.[0]).toEqual({ names: ['c_c1', 'a_a1'], k: 1 });
    expect(stage.args('pg.setUpstream')[0]?.[0]).toBeNull();
  });
  test('where it cannot be cut off it is not started', () => {
    const { stage, does } = agent('b', { db: { facts: stopped() } });
    stage.on('pg.setUpstream', () => ({ kind: 'failed', why: 'read-only file system' }));
    expect(does({ do: 'start_standby' }).ok).toBe(false);
    expect(stage.order(/^pg\.start/)).toEqual([]);
  });
  test('a refusal stays in the request, so that whoever asked can be told', () => {
    const { stage, n, does } = agent('a', { db: { facts: primary() } }, (s) =>
      s.store.put('request', requestRecord()),
    );
    stage.run(renewWith(n, []));
    expect(does({ do: 'refuse_request', why: 'it is down' })).toEqual({ ok: true });
    expect(stage.store.get('request')?.value).toMatchObject({ id: 'r1', refused: 'it is down' });
  });
  test('a switchover that is cancelled is remembered with its reason', () => {
    const { stage, n, does } = agent('a', { db: { facts: primary() } }, (s) =>
      s.store.put('request', requestRecord()),
    );
    stage.run(renewWith(n, []));
    expect(does({ do: 'handover', to: 'b', reason: 'test', why: 'requested' }).ok).toBe(false);
    expect(n.main.requestRefused).toEqual({ id: 'r1', why: 'b has not caught up' });
  });
  test('a standby carries the list of voters that a promotion would open with', () => {
    const { stage, does } = agent('b', { db: { facts: pgFacts() } });
    does({ do: 'carry_list' });
    expect(stage.args('pg.setSyncList')[0]?.[0]).toEqual({ names: ['c_c1', 'a_a1'], k: 1 });
  });
});
