import { describe, expect, test } from 'bun:test';
import { renewWith } from '../../agent/core/lease.ts';
import type { Mandate } from '../../agent/core/memory/candidacy.ts';
import { openingVoters } from '../../agent/core/procedures/opening.ts';
import { finishPromotion, promote, reopen, startInPlace } from '../../agent/core/procedures/promote.ts';
import { nextTimeline } from '../../agent/core/procedures/promotion_records.ts';
import type { HistoryRecord } from '../../agent/core/records.ts';
import {
  historyRecord,
  leaseRecord,
  type NodeOver,
  node,
  pgFacts,
  primary,
  stateRecord,
  stopped,
  syncRecord,
  vote,
  voter,
} from './build.ts';
import { Stage } from './stage.ts';

const sender = (name: string, flush = 1000n) => ({
  name,
  state: 'streaming',
  sent: flush,
  flush,
  replay: flush,
});
const votes: Mandate = { kind: 'votes', epoch: 6, votes: [vote('b'), vote('c')] };

/** `b` has just taken the lease (epoch 6) from `a`; `sync` still names `a`. */
function winner(mandate: Mandate | null = votes, over: NodeOver = {}) {
  const stage = new Stage();
  stage.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6, from: 'a' }));
  stage.store.put('history/5', historyRecord());
  const n = node('b', stage, {
    candidacy: { mandate },
    fence: { state: 'closed' },
    db: { facts: pgFacts() },
    ...over,
  });
  stage.sees(n);
  stage.run(renewWith(n, []));
  let timeline = 3;
  stage
    .on('pg.promote', () => {
      timeline = 4;
      return { kind: 'done', timeline };
    })
    .on('pg.history', () => [
      { tli: 1, lsn: 500n },
      { tli: 3, lsn: 1000n },
    ])
    .on('pg.replication', () => ({ insert: 1100n, timeline, senders: [sender('c_c1', 1100n)] }));
  stage.trace.length = 0;
  return { stage, n };
}
const story = (stage: Stage) =>
  stage.order(
    /^txn/,
    /^pg\.(reserve|setSync|promote|setUp|startPrimary|stop|replication)/,
    /^fence/,
    /^hooks/,
  );

describe('promotion', () => {
  test('reserve, place, list, renew, promote, list again, covered, sync with active, open: in this order', () => {
    const { stage, n } = winner();
    expect(stage.run(promote(n))).toEqual({ ok: true });
    expect(story(stage)).toEqual([
      'pg.setUpstream',
      'txn next_master history/6',
      'pg.reserveTimelines',
      'pg.setSyncList',
      'hooks.run',
      'txn next_master',
      'pg.promote',
      'pg.setSyncList',
      'pg.replication',
      'pg.replication',
      'txn next_master sync active history/6',
      'fence.open',
    ]);
  });
  test('the new leader, its branch and its voters are written with `active`, and the fence opens until the right ends', () => {
    const { stage, n } = winner();
    stage.run(promote(n));
    expect(stage.store.sync).toEqual({
      schema: 1,
      leader: 'b',
      epoch: 6,
      timeline: 4,
      history: [
        { tli: 1, lsn: '500' },
        { tli: 3, lsn: '1000' },
      ],
      voters: [voter('c')],
      k: 1,
    });
    expect(stage.store.get('active')?.value).toMatchObject({
      node: 'b',
      epoch: 6,
      timeline: 4,
      hostIp: '10.0.0.b',
    });
    expect(stage.args('fence.open')[0]?.[0]).toBe(n.lease.right?.until);
    expect(n.fence.state).toBe('open');
  });
  test('the number reserved is past every one ever reserved, also by a promotion that came to nothing', () => {
    const { stage, n } = winner();
    stage.store.put('history/4', historyRecord({ epoch: 4, timeline: 9 }));
    stage.sees(n);
    stage.on('pg.promote', () => ({ kind: 'done', timeline: 10 }));
    stage.run(promote(n));
    expect(stage.args('pg.reserveTimelines')).toEqual([[10]]);
  });
  test('tried again under its epoch it reserves the same number: who cannot read the record reckons with one', () => {
    const { stage, n } = winner();
    stage.on('pg.promote', () => ({ kind: 'done', timeline: 4 }));
    stage.on('pg.reserveTimelines', () => ({ kind: 'failed', why: 'disk' }));
    for (let i = 0; i < 20; i += 1) {
      expect(stage.run(promote(n)).ok).toBe(false);
      stage.sees(n);
    }
    stage.on('pg.reserveTimelines', () => ({ kind: 'done' }));
    stage.run(promote(n));
    expect(new Set(stage.args('pg.reserveTimelines').flat())).toEqual(new Set([4]));
    // Once the epoch is another, the number is taken.
    n.lease = { ...n.lease, right: n.lease.right && { ...n.lease.right, epoch: 7 } };
    expect(nextTimeline(n, 3)).toBe(5);
  });
  test('promoted to another number than the reserved one: not opened', () => {
    const { stage, n } = winner();
    stage.on('pg.promote', () => ({ kind: 'done', timeline: 5 }));
    expect(stage.run(promote(n))).toEqual({ ok: false, why: 'promoted to timeline 5, 4 was reserved' });
    expect(story(stage)).not.toContain('fence.open');
    expect(stage.store.sync.leader).toBe('a');
  });
  test('`sync` stays the old one until the new list is covered', () => {
    const { stage, n } = winner();
    stage.on('pg.replication', () => {
      expect(stage.store.sync.leader).toBe('a');
      return { insert: 1100n, timeline: 4, senders: [sender('c_c1', 1100n)] };
    });
    expect(stage.run(promote(n)).ok).toBe(true);
  });
  test.each<[string, Mandate | null]>([
    ['no mandate', null],
    ['a mandate of an earlier epoch', { kind: 'votes', epoch: 5, votes: [vote('b')] }],
  ])('%s: nothing is touched', (_, mandate) => {
    const { stage, n } = winner(mandate);
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(story(stage)).toEqual([]);
  });
  test('without a confirmed reservation it goes no further', () => {
    const { stage, n } = winner();
    stage.once('consul.txn', stage.lostUnknown);
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(story(stage)).not.toContain('pg.promote');
  });
  test('without the renewal just before it, it does not promote', () => {
    const { stage, n } = winner();
    stage.once('consul.txn', (ops) => stage.store.txn(ops)).once('consul.txn', stage.lostUnknown);
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(story(stage)).not.toContain('pg.promote');
  });
  test('a right shorter than the worst case of a promotion: it does not promote', () => {
    const { stage, n } = winner();
    stage.takes('consul.txn', 2600);
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(story(stage)).not.toContain('pg.promote');
  });
  test('a mandate is used up by one promotion, whatever came of it', () => {
    const { stage, n } = winner();
    stage.on('pg.promote', () => ({ kind: 'failed', why: 'timeout' }));
    stage.run(promote(n));
    expect(n.candidacy.mandate).toBeNull();
    expect(stage.run(promote(n)).ok).toBe(false);
  });
  test.each([
    ['less than it voted', { lsn: 999n, replayed: 999n }],
    ['on another timeline than it voted', { timeline: 2 }],
    ['not replayed what is on disk', { settled: false }],
  ])('%s: not promoted', (_, position) => {
    const { stage, n } = winner();
    stage.on('pg.position', () => ({ timeline: 3, lsn: 1000n, replayed: 1000n, settled: true, ...position }));
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(story(stage)).toEqual(['pg.setUpstream']);
  });
  test('handed over: only past the shutdown checkpoint of the former active, on its timeline', () => {
    const handed: Mandate = { kind: 'handover', epoch: 6, timeline: 3, lsn: 1000n, from: 'a' };
    const at = (timeline: number, replayed: bigint) => {
      const { stage, n } = winner(handed);
      stage
        .on('pg.position', () => ({ timeline, lsn: replayed, replayed, settled: true }))
        .on('pg.replication', () => ({ insert: 1100n, timeline: 4, senders: [sender('a_a1', 1100n)] }));
      return stage.run(promote(n)).ok;
    };
    expect(at(3, 1000n)).toBe(false);
    expect(at(2, 2000n)).toBe(false);
    expect(at(3, 1001n)).toBe(true);
  });
});

describe('no standby confirms the promotion', () => {
  const silent = () => {
    const { stage, n } = winner();
    stage.on('pg.replication', () => ({ insert: 1100n, timeline: 4, senders: [sender('c_c1', 1000n)] }));
    return { stage, n };
  };
  test('after openWait it says DEGRADED, writes voters empty, and only then empties the list', () => {
    const { stage, n } = silent();
    const began = stage.now;
    expect(stage.run(promote(n)).ok).toBe(true);
    expect(stage.now - began).toBeGreaterThanOrEqual(n.policy.openWait);
    expect(stage.logs.some((l) => l.message.startsWith('DEGRADED'))).toBe(true);
    expect(stage.store.sync).toMatchObject({ leader: 'b', voters: [], k: 0 });
    const ends = story(stage).slice(-3);
    expect(ends).toEqual(['txn next_master sync active history/6', 'pg.setSyncList', 'fence.open']);
    expect(stage.args('pg.setSyncList').at(-1)?.[0]).toBeNull();
  });
  test('strict never opens degraded', () => {
    const { stage, n } = silent();
    n.policy.synchronousMode = 'strict';
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(stage.store.sync.leader).toBe('a');
    expect(story(stage)).not.toContain('fence.open');
  });
  test('strict, every other copy has to be rewound: `sync` names this leader, which stays shut until one confirms', () => {
    const { stage, n } = silent();
    n.policy.synchronousMode = 'strict';
    for (const name of ['a', 'c']) stage.store.put(`state/${name}`, stateRecord(name, { wants: 'rewind' }));
    stage.sees(n);
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(stage.store.sync).toMatchObject({ leader: 'b', epoch: 6, timeline: 4, voters: [], k: 0 });
    expect(story(stage)).not.toContain('fence.open');
    expect(stage.store.get('active') ?? null).toBeNull();
    n.view = stage.store.view();
    expect(stage.run(reopen(n)).ok).toBe(false);
    expect(story(stage)).not.toContain('fence.open');
    // One was rewound, and is listed: now it opens, and says where clients go.
    const listed = { ...stage.store.sync, voters: [voter('c')], k: 1 };
    stage.store.put('sync', listed);
    n.view = stage.store.view();
    stage.on('pg.replication', () => ({ insert: 1100n, timeline: 4, senders: [sender('c_c1', 1100n)] }));
    expect(stage.run(reopen(n)).ok).toBe(true);
    expect(stage.store.get('active')?.value).toMatchObject({ node: 'b', epoch: 6, timeline: 4 });
    expect(stage.store.get<HistoryRecord>('history/6')?.value.opened).not.toBeNull();
  });
  test('strict, one other copy may still come and confirm: it is waited for', () => {
    const { stage, n } = silent();
    n.policy.synchronousMode = 'strict';
    stage.store.put('state/a', stateRecord('a', { wants: 'rewind' }));
    stage.sees(n);
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(stage.store.sync.leader).toBe('a');
  });
  test('of voters that were never compared only those that confirmed are listed', () => {
    const { stage, n } = winner({ kind: 'votes', epoch: 6, votes: [vote('b')] });
    const voters = [voter('a'), voter('c')];
    stage.store.put('sync', syncRecord({ leader: 'b', epoch: 5, voters }));
    stage.sees(n);
    const ahead = { ...sender('a_a1', 9000n), sent: 1000n };
    stage.on('pg.replication', () => ({
      insert: 1100n,
      timeline: 4,
      senders: [ahead, sender('c_c1', 1100n)],
    }));
    expect(stage.run(promote(n)).ok).toBe(true);
    expect(stage.store.sync.voters).toEqual([voter('c')]);
    expect(stage.args('pg.setSyncList').at(-1)?.[0]).toEqual({ names: ['c_c1'], k: 1 });
  });
  test('an unknown outcome of that write loosens nothing and opens nothing', () => {
    const { stage, n } = silent();
    stage.on('consul.txn', (ops) =>
      ops.some((op: { key: string }) => op.key === 'sync') ? stage.lostUnknown(ops) : stage.store.txn(ops),
    );
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(stage.args('pg.setSyncList').map(([list]) => list)).not.toContain(null);
    expect(story(stage)).not.toContain('fence.open');
  });
});

describe('finishing a promotion', () => {
  test('of a server that is already writable: the same coverage and the same one transaction', () => {
    const { stage, n } = winner(null, { db: { facts: primary() } });
    stage.on('pg.replication', () => ({ insert: 1100n, timeline: 4, senders: [sender('c_c1', 1100n)] }));
    expect(stage.run(finishPromotion(n)).ok).toBe(true);
    expect(stage.order(/^txn/)).toEqual(['txn next_master sync active history/6']);
  });
  test('a `sync` that somebody changed meanwhile is not overwritten', () => {
    const { stage, n } = winner();
    stage.on('consul.txn', (ops) => {
      if (ops.some((op: { key: string }) => op.key === 'sync')) stage.store.put('sync', syncRecord({ k: 2 }));
      return stage.store.txn(ops);
    });
    expect(stage.run(promote(n)).ok).toBe(false);
    expect(stage.store.sync).toMatchObject({ leader: 'a', k: 2 });
    expect(story(stage)).not.toContain('fence.open');
  });
  test('history/EPOCH keeps the number reserved, where it forked, and how long clients were out', () => {
    const { stage, n } = winner();
    n.fence.outageSince = stage.now - 400;
    stage.run(promote(n));
    const record = stage.store.get<HistoryRecord>('history/6')?.value;
    expect(record).toMatchObject({
      epoch: 6,
      holder: 'b',
      from: 'a',
      timeline: 4,
      kind: 'failover',
      lsn: '1100',
    });
    expect(record?.fork).toHaveLength(2);
    expect(record?.downtimeMs).toBeGreaterThanOrEqual(400);
  });
});

describe('among whom the first commits are confirmed', () => {
  const opening = (mandate: Mandate | null) => openingVoters(winner(mandate).n);
  test('those who voted, without oneself', () =>
    expect(opening(votes)).toEqual({ voters: [voter('c')], k: 1, compared: true }));
  test('in a handover the voters before, and the former active', () =>
    expect(opening({ kind: 'handover', epoch: 6, timeline: 3, lsn: 1n, from: 'a' })).toEqual({
      voters: [voter('c'), voter('a')],
      k: 1,
      compared: true,
    }));
  test('nobody voted (a last leader that came back alone): the voters of before', () =>
    expect(opening({ kind: 'votes', epoch: 6, votes: [vote('b')] })).toEqual({
      voters: [voter('c')],
      k: 1,
      compared: false,
    }));
  test('not those whose copy has a tail of its own past what this one has', () => {
    const ahead = vote('c', { timeline: 1, history: [], lsn: 600n });
    expect(opening({ kind: 'votes', epoch: 6, votes: [vote('b'), ahead] })).toEqual({
      voters: [voter('c')],
      k: 1,
      compared: false,
    });
  });
  test('not those that are no members any more', () =>
    expect(opening({ kind: 'votes', epoch: 6, votes: [vote('b'), vote('c'), vote('d')] }).voters).toEqual([
      voter('c'),
    ]));
  test('mode off: nobody', () => {
    const { n } = winner();
    n.policy.synchronousMode = 'off';
    expect(openingVoters(n)).toEqual({ voters: [], k: 0, compared: true });
  });
});

/** `a`, the leader that `sync` names, whose postmaster has died. */
function fallen() {
  const stage = new Stage();
  stage.store.put('active', { schema: 1, node: 'a', epoch: 5, hostIp: '10.0.0.a', timeline: 3, since: '' });
  const n = node('a', stage, { fence: { state: 'open' }, db: { facts: stopped() } });
  stage.sees(n);
  stage.run(renewWith(n, []));
  stage.on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders: [sender('b_b1')] }));
  stage.trace.length = 0;
  return { stage, n };
}

describe('start in place', () => {
  test('fenced, renewed, started, covered, opened: in this order', () => {
    const { stage, n } = fallen();
    expect(stage.run(startInPlace(n)).ok).toBe(true);
    expect(story(stage)).toEqual([
      'fence.close',
      'txn next_master',
      'pg.startPrimary',
      'txn next_master check:sync',
      'pg.replication',
      'fence.open',
    ]);
  });
  test('a server that hangs is stopped at once before the start', () => {
    const { stage, n } = fallen();
    n.db.facts = primary();
    stage.run(startInPlace(n));
    expect(story(stage).slice(0, 3)).toEqual(['fence.close', 'pg.stop', 'txn next_master']);
    expect(stage.args('pg.stop')[0]?.slice(0, 1)).toEqual(['immediate']);
  });
  test('without a confirmed lease it is not started', () => {
    const { stage, n } = fallen();
    stage.once('consul.txn', stage.lostUnknown);
    expect(stage.run(startInPlace(n)).ok).toBe(false);
    expect(story(stage)).not.toContain('pg.startPrimary');
  });
  test('a start that failed is remembered, a server that opened forgets it', () => {
    const { stage, n } = fallen();
    stage.once('pg.startPrimary', () => ({ kind: 'failed', why: 'PANIC' }));
    expect(stage.run(startInPlace(n)).ok).toBe(false);
    expect(n.failures.startFailedAt).not.toBeNull();
    stage.run(startInPlace(n));
    expect(n.failures.startFailedAt).toBeNull();
    expect(n.failures.restarts).toHaveLength(2);
  });
  test('recovery may show commits that nobody confirmed: not opened before k voters have the end of recovery', () => {
    const { stage, n } = fallen();
    stage.on('pg.replication', () => ({
      insert: 1000n,
      timeline: 3,
      senders: [sender('b_b1', stage.now < 2000 ? 900n : 1000n)],
    }));
    stage.on('fence.open', () => {
      expect(stage.now).toBeGreaterThanOrEqual(2000);
      return { kind: 'done' };
    });
    expect(stage.run(startInPlace(n)).ok).toBe(true);
  });
  test('nobody confirms: voters empty in the key, then the list, then open; in strict mode it stays closed', () => {
    const { stage, n } = fallen();
    stage.on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders: [] }));
    expect(stage.run(startInPlace(n)).ok).toBe(true);
    expect(
      story(stage)
        .filter((s) => s !== 'pg.replication')
        .slice(-3),
    ).toEqual(['txn next_master sync', 'pg.setSyncList', 'fence.open']);
    const strict = fallen();
    strict.n.policy.synchronousMode = 'strict';
    strict.stage.on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders: [] }));
    expect(strict.stage.run(startInPlace(strict.n)).ok).toBe(false);
    expect(story(strict.stage)).not.toContain('fence.open');
  });
});

describe('reopen', () => {
  test('only by the leader that `sync` names under this epoch', () => {
    const { stage, n } = winner(null, { db: { facts: primary() } });
    expect(stage.run(reopen(n))).toEqual({ ok: false, why: 'the sync record names another leader' });
  });
  test('a right that is nearly used up is renewed first; where that fails it stays closed', () => {
    const { stage, n } = fallen();
    stage.now += 3000;
    stage.once('consul.txn', stage.lostUnknown);
    expect(stage.run(reopen(n)).ok).toBe(false);
    expect(story(stage)).not.toContain('fence.open');
    expect(stage.run(reopen(n)).ok).toBe(true);
  });
});
