import { describe, expect, test } from 'bun:test';
import type { Decision } from '../../agent/core/decide.ts';
import { processes } from '../../agent/core/processes.ts';
import { leaseRecord, type NodeOver, node, pgFacts, primary, stopped, syncRecord, voter } from './build.ts';
import { Loop } from './loop.ts';

const senders = ['b_b1', 'c_c1'].map((name) => ({
  name,
  state: 'streaming',
  sent: 1000n,
  flush: 1000n,
  replay: 1000n,
}));

/** One agent with all its processes; its watcher waits as Consul makes it wait. */
function agent(name: string, over: NodeOver = {}) {
  const loop = new Loop();
  const n = node(name, loop, over);
  const decisions: Decision[] = [];
  const { watcher, keeper, guard, main } = processes(n, {
    newClone: () => `${name}2`,
    decided: (decision) => decisions.push(decision),
  });
  loop.takes('consul.watch', 200);
  return {
    loop,
    n,
    decisions,
    start: () => [watcher, keeper, guard, main].forEach((p) => void loop.start(p())),
  };
}

function active() {
  const a = agent('a');
  let running = true;
  const up = (now: boolean) => () => {
    running = now;
    return now ? { kind: 'done' } : { kind: 'stopped', clean: false, checkpoint: null, timeline: 3 };
  };
  a.loop
    .on('pg.stop', up(false))
    .on('pg.startPrimary', up(true))
    .on('pg.facts', () => (running ? primary({ walSenders: senders }) : stopped()))
    .on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders }))
    .on('services.facts', () => ({ running: running ? ['worker'] : [], missing: [], missingAlways: [] }));
  return a;
}

describe('no flap', () => {
  test('a healthy active changes nothing over many ticks: it renews, and that is all', () => {
    const { loop, n, decisions, start } = active();
    start();
    loop.pass(3000);
    decisions.length = 0;
    loop.trace.length = 0;
    loop.pass(120_000);
    expect(new Set(decisions.map((d) => d.rule))).toEqual(new Set([570]));
    expect(loop.order(/^txn/).filter((t) => t !== 'txn next_master')).toEqual([]);
    expect(loop.order(/^txn/).length).toBeGreaterThan(110);
    expect(
      loop.order(/^pg\.(?!facts|replication)/, /^fence\.(?!extend)/, /^services\.(?!facts)/, /^hooks/),
    ).toEqual([]);
    expect(n.lease.right?.epoch).toBe(5);
  });
  test('a healthy standby changes nothing while the holder renews', () => {
    const { loop, decisions, start } = agent('b');
    loop.on('pg.facts', () => pgFacts({ syncList: { names: ['c_c1', 'a_a1'], k: 1 } }));
    const renew = () => {
      loop.store.put('next_master', leaseRecord({ seq: loop.store.lease.seq + 1 }));
      loop.at(loop.now + 1000, renew);
    };
    loop.at(loop.now, renew);
    start();
    loop.pass(2000);
    loop.trace.length = 0;
    decisions.length = 0;
    loop.pass(120_000);
    expect(new Set(decisions.map((d) => d.rule))).toEqual(new Set([750]));
    expect(
      loop.order(/^txn/, /^pg\.(?!facts)/, /^fence/, /^services\.(?!facts)/, /^peers/, /^store/),
    ).toEqual([]);
  });
  test('renewals that come late, but inside the lease, make a standby do nothing', () => {
    const { loop, start } = agent('b');
    const renew = () => {
      loop.store.put('next_master', leaseRecord({ seq: loop.store.lease.seq + 1 }));
      loop.at(loop.now + 3800, renew);
    };
    loop.at(loop.now, renew);
    start();
    // A restarted agent compares its branch with the holder's once.
    loop.pass(2000);
    loop.trace.length = 0;
    loop.pass(60_000);
    expect(loop.order(/^peers/, /^txn/, /^pg\.setUpstream/)).toEqual([]);
  });
  test('one line is logged per change of decision, not one per tick', () => {
    const { loop, start } = active();
    start();
    loop.pass(60_000);
    expect(loop.logs.filter((l) => l.message.startsWith('rule 570'))).toHaveLength(1);
  });
  test('the own state is published on change and at each heartbeat only', () => {
    const { loop, n, start } = active();
    start();
    loop.pass(3000);
    loop.trace.length = 0;
    loop.pass(n.policy.heartbeat * 4);
    expect(loop.order(/^state/).length).toBeLessThanOrEqual(5);
    expect(loop.args('state.publish').at(-1)?.[0]).toMatchObject({ role: 'active' });
  });
  test('a voter that never answers is asked again with pauses, not in a busy loop', () => {
    const { loop, start } = agent('b');
    loop.on('pg.facts', () => pgFacts({ streaming: false, upstreamHost: null }));
    start();
    loop.pass(20_000);
    const rounds = loop.order(/^peers\.votes/).length;
    expect(rounds).toBeGreaterThan(10);
    expect(rounds).toBeLessThan(80);
    expect(loop.order(/^txn/)).toEqual([]);
  });
});

describe('the guard', () => {
  test('Consul falls silent: fenced down when the right ends, not before', () => {
    const { loop, n, start } = active();
    start();
    loop.pass(3000);
    loop
      .on('consul.txn', () => ({ kind: 'unknown' }))
      .on('consul.read', () => 'unknown')
      .on('consul.watch', () => 'unknown');
    const until = n.lease.right?.until ?? 0;
    loop.trace.length = 0;
    loop.pass(until - loop.now - 1);
    expect(loop.order(/^fence\.close/, /^pg\.stop/)).toEqual([]);
    loop.pass(10);
    expect(loop.order(/^fence\.close/, /^pg\.stop/, /^services\.down/)).toEqual([
      'fence.close',
      'pg.stop',
      'services.down',
    ]);
    expect(n.lease.right).toBeNull();
  });
  test('fences at the deadline while main hangs in a long call, and what main was at goes no further', () => {
    const { loop, n, start } = active();
    start();
    loop.pass(3000);
    loop.takes('pg.replication', 60_000);
    loop.pass(1500);
    loop
      .on('consul.txn', () => ({ kind: 'unknown' }))
      .on('consul.read', () => 'unknown')
      .on('consul.watch', () => 'unknown');
    loop.pass(n.policy.renewDeadline + 100);
    expect(loop.order(/^fence\.close/)).toHaveLength(1);
    loop.trace.length = 0;
    loop.pass(62_000);
    expect(loop.order(/^txn .*sync/, /^pg\.setSyncList/, /^fence\.open/)).toEqual([]);
  });
  test('a thawed machine that sees its successor fences at once, though its own clock has time left and main hangs', () => {
    const { loop, n, start } = active();
    start();
    loop.pass(3000);
    loop.takes('pg.replication', 60_000);
    loop.pass(1500);
    loop.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    loop.pass(n.policy.retryPeriod);
    expect(loop.order(/^fence\.close/)).toHaveLength(1);
    expect(loop.order(/^pg\.stop/)).toHaveLength(1);
  });
  test('another holder is seen while main hangs: fenced at once, long before the own right would have ended', () => {
    const { loop, n, start } = active();
    start();
    loop.pass(3000);
    loop.takes('pg.replication', 60_000);
    loop.pass(1500);
    loop.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    loop.pass(n.policy.retryPeriod / 2);
    expect(loop.order(/^fence\.close/, /^pg\.stop/)).toEqual(['fence.close', 'pg.stop']);
    expect(n.lease.right).toBeNull();
  });
  test('a promotion that is under way when the lease runs out is not opened', () => {
    const { loop, n, start } = agent('b', { fence: { state: 'closed' } });
    loop.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    loop.news(n);
    n.lease = { ...n.lease, right: { epoch: 6, until: loop.now + 4000 } };
    n.candidacy.mandate = { kind: 'founder', epoch: 6 };
    loop.on('pg.promote', () => ({ kind: 'done', timeline: 4 })).takes('pg.promote', 9000);
    loop.on('pg.facts', () => pgFacts({ upstreamHost: null }));
    start();
    loop.pass(500);
    expect(loop.order(/^pg\.promote/)).toHaveLength(1);
    loop
      .on('consul.txn', () => ({ kind: 'unknown' }))
      .on('consul.read', () => 'unknown')
      .on('consul.watch', () => 'unknown');
    loop.pass(20_000);
    expect(loop.order(/^pg\.stop/).length).toBeGreaterThan(0);
    expect(loop.order(/^fence\.open/, /^txn .*sync/)).toEqual([]);
    expect(n.candidacy.mandate).toBeNull();
  });
  test('a promotion that hung while the lease ran out does not go on when Consul is back', () => {
    const { loop, n, start } = agent('b', { fence: { state: 'closed' } });
    loop.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    loop.news(n);
    n.lease = { ...n.lease, right: { epoch: 6, until: loop.now + 4000 } };
    n.candidacy.mandate = { kind: 'founder', epoch: 6 };
    loop.on('pg.facts', () => pgFacts({ upstreamHost: null })).takes('hooks.run', 9000);
    start();
    loop.pass(500);
    expect(loop.order(/^hooks/)).toHaveLength(1);
    loop.on('consul.txn', () => ({ kind: 'unknown' })).on('consul.read', () => 'unknown');
    loop.pass(5000);
    expect(loop.order(/^pg\.stop/).length).toBeGreaterThan(0);
    loop.on('consul.txn', (ops) => loop.store.txn(ops)).on('consul.read', () => loop.store.view());
    loop.pass(6000);
    expect(loop.order(/^pg\.promote/)).toEqual([]);
    expect(loop.store.lease).toMatchObject({ holder: '', from: 'b' });
  });
  test('an interruption while main waits for a lock gives the lock back: renewals go on', () => {
    const { loop, start } = active();
    loop.store.put('sync', syncRecord({ voters: [voter('b')] }));
    start();
    loop.pass(1500);
    loop.takes('consul.txn', 900);
    loop.pass(2000);
    // Renewals that all take too long: the right runs out while some process holds or waits for the lock.
    loop.takes('consul.txn', 4500);
    loop.pass(12_000);
    expect(loop.order(/^pg\.stop/).length).toBeGreaterThan(0);
    loop.takes('consul.txn', 1);
    loop.trace.length = 0;
    loop.pass(3000);
    expect(loop.order(/^txn next_master$/).length).toBeGreaterThan(1);
  });
  test('no renewal and no decision is made while it fences down', () => {
    const { loop, n, decisions, start } = active();
    start();
    loop.pass(3000);
    loop.takes('pg.stop', 3000);
    const until = n.lease.right?.until ?? 0;
    loop.on('consul.txn', () => ({ kind: 'unknown' })).on('consul.read', () => 'unknown');
    loop.pass(until - loop.now + 1000);
    expect(n.fence.running).toBe(1);
    loop.trace.length = 0;
    decisions.length = 0;
    loop.pass(1500);
    expect(n.fence.running).toBe(1);
    expect([loop.order(/^txn/), decisions]).toEqual([[], []]);
  });
});

describe('the keeper', () => {
  test('each renewal moves the kernel lease on while clients are let in', () => {
    const { loop, n, start } = active();
    start();
    loop.pass(5000);
    expect(loop.args('fence.extend').at(-1)?.[0]).toBe(n.lease.right?.until);
  });
  test('keeps what the process before it left open, before its database answers anything', () => {
    const { loop, n, start } = active();
    const silent = {
      data: 'unknown',
      process: 'unknown',
      accepting: false,
      role: 'unknown',
      fenced: 'unknown',
    } as const;
    loop.on('pg.facts', () => pgFacts(silent));
    n.fence.state = 'unknown';
    start();
    loop.pass(500);
    expect([n.fence.state, n.lease.right === null]).toEqual(['unknown', false]);
    expect(loop.args('fence.extend').at(-1)).toEqual([n.lease.right?.until, false]);
  });
  test('a holder that gave up renewing lets the lease run out', () => {
    const { loop, n, start } = active();
    start();
    loop.pass(3000);
    n.holding.renewing = false;
    loop.trace.length = 0;
    loop.pass(10_000);
    expect(loop.order(/^txn/)).toEqual([]);
    expect(loop.order(/^pg\.stop/).length).toBeGreaterThan(0);
  });
  test('a handover to another ends renewing at once', () => {
    const { loop, start } = active();
    start();
    loop.pass(3000);
    loop.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    loop.pass(1500);
    loop.trace.length = 0;
    loop.pass(5000);
    expect(loop.order(/^txn/)).toEqual([]);
  });
});

describe('the watcher', () => {
  test('a renewal is no news; a new holder, epoch or request wakes main', () => {
    const { loop, start } = agent('b');
    start();
    loop.pass(1000);
    const wakes = () => loop.wakes;
    let before = wakes();
    loop.store.put('next_master', leaseRecord({ seq: 41 }));
    loop.pass(500);
    expect(wakes()).toBe(before);
    before = wakes();
    loop.store.put('request', { schema: 1, id: 'r', target: 'b', epoch: 5, expires: 0, refused: null });
    loop.pass(500);
    expect(wakes()).toBe(before + 1);
    before = wakes();
    loop.store.put('next_master', leaseRecord({ holder: 'c', epoch: 6 }));
    loop.pass(500);
    expect(wakes()).toBe(before + 1);
  });
});

test('failover in one node’s eyes: votes before the lease runs out, taken when it has, promoted, open', () => {
  const { loop, n, decisions, start } = agent('b', { fence: { state: 'closed' } });
  let timeline = 3;
  let role: 'standby' | 'primary' = 'standby';
  let upstreamHost: string | null = '10.0.0.a';
  loop
    .on('pg.setUpstream', (to) => {
      upstreamHost = to === null ? null : to.host;
      return { kind: 'done' };
    })
    .on('pg.facts', () =>
      pgFacts({
        role,
        upstreamHost,
        streaming: false,
        standbySignal: role === 'standby',
        position: { timeline, lsn: 1000n, replayed: 1000n, settled: true },
      }),
    )
    .on('pg.promote', () => {
      [role, timeline] = ['primary', 4];
      return { kind: 'done', timeline };
    })
    .on('pg.replication', () => ({
      insert: 1000n,
      timeline,
      senders: [{ name: 'c_c1', state: 'streaming', sent: 1000n, flush: 1000n, replay: 1000n }],
    }))
    .on('peers.votes', () => ({
      a: { kind: 'unknown' },
      c: {
        kind: 'vote',
        vote: { node: 'c', clone: 'c1', timeline: 3, lsn: 1000n, history: [{ tli: 1, lsn: 500n }] },
      },
    }));
  start();
  const died = loop.now;
  let taken = 0;
  loop.on('consul.txn', (ops) => {
    if (taken === 0) taken = loop.now;
    return loop.store.txn(ops);
  });
  loop.pass(8000);
  const story = [...new Set(decisions.map((d) => d.rule))].filter((rule) => rule !== 750);
  expect(story.filter((r) => ![730, 743, 220].includes(r))).toEqual([610, 630, 650, 570]);
  expect(taken - died).toBeGreaterThanOrEqual(n.policy.leaseDuration);
  expect(taken - died).toBeLessThan(n.policy.leaseDuration + 300);
  expect([loop.store.lease.holder, loop.store.sync.leader, n.fence.state]).toEqual(['b', 'b', 'open']);
});
