import { describe, expect, test } from 'bun:test';
import { renewWith } from '../../agent/core/lease.ts';
import type { TxnOp, TxnResult } from '../../agent/core/ports.ts';
import type { SyncList, WalSender } from '../../agent/core/postgres.ts';
import { covered } from '../../agent/core/procedures/cover.ts';
import { nextSyncStep, type SyncFacts, syncStep } from '../../agent/core/procedures/sync.ts';
import type { SyncRecord } from '../../agent/core/records.ts';
import { node, nodeRecord, primary, stateRecord, syncRecord, type TestNode, voter } from './build.ts';
import { Stage } from './stage.ts';

const sender = (name: string, over: Partial<WalSender> = {}): WalSender => ({
  name,
  state: 'streaming',
  sent: over.flush ?? 1000n,
  flush: 1000n,
  replay: 1000n,
  ...over,
});
const ab: SyncList = { names: ['b_b1', 'c_c1'], k: 1 };

function facts(over: Partial<SyncFacts> = {}): SyncFacts {
  return {
    sync: syncRecord(),
    list: ab,
    members: ['a', 'b', 'c'],
    clones: Object.fromEntries(['a', 'b', 'c'].map((n) => [n, { clone: `${n}1`, wiped: false }])),
    senders: [sender('b_b1'), sender('c_c1')],
    insert: 1000n,
    lonelyFor: 0,
    mode: 'quorum',
    degradeAfter: 3000,
    quorum: 1,
    ...over,
  };
}

describe('the next step', () => {
  test('key, list and standbys agree: nothing', () => {
    expect(nextSyncStep(facts())).toEqual({ do: 'nothing' });
  });
  test('a member that streams and is near is added', () => {
    const sync = syncRecord({ voters: [voter('b')] });
    expect(nextSyncStep(facts({ sync }))).toEqual({ do: 'add', voter: voter('c') });
  });
  test.each([
    ['far behind', sender('c_c1', { flush: 1000n })],
    ['not streaming yet', sender('c_c1', { state: 'catchup', flush: 900_000_000n })],
    ['on a branch of its own', sender('c_c1', { sent: 899_999_000n, flush: 900_000_500n })],
    ['without a report', sender('c_c1', { flush: null })],
    ['streaming as an older clone', sender('c_c0', { flush: 900_000_000n })],
  ])('a member that is %s is not: its confirmation would hold commits up', (_, c) => {
    const sync = syncRecord({ voters: [voter('b')] });
    const senders = [sender('b_b1', { flush: 900_000_000n }), c];
    expect(
      nextSyncStep(facts({ sync, senders, insert: 900_000_000n, list: { names: ['b_b1'], k: 1 } })).do,
    ).toBe('nothing');
  });
  test('one dead standby of several does not narrow the list', () => {
    expect(nextSyncStep(facts({ senders: [sender('b_b1')] }))).toEqual({ do: 'nothing' });
  });
  test('no voter streams for longer than the wait: empty; in strict mode never', () => {
    const f = facts({ senders: [], lonelyFor: 3001 });
    expect(nextSyncStep(f).do).toBe('empty');
    expect(nextSyncStep({ ...f, lonelyFor: 2999 }).do).toBe('nothing');
    expect(nextSyncStep({ ...f, mode: 'strict' }).do).toBe('nothing');
  });
  test('a re-cloned node is added under its new clone before the old one is removed', () => {
    const clones = { ...facts().clones, c: { clone: 'c2', wiped: false } };
    const far = facts({ clones, senders: [sender('b_b1')] });
    expect(nextSyncStep(far)).toMatchObject({ do: 'remove', voter: voter('c') });
    const near = facts({ clones, senders: [sender('b_b1'), sender('c_c2')] });
    expect(nextSyncStep(near)).toEqual({ do: 'add', voter: voter('c', 'c2') });
    const added = syncRecord({ voters: [voter('b'), voter('c'), voter('c', 'c2')] });
    expect(nextSyncStep({ ...near, sync: added })).toMatchObject({ do: 'remove', voter: voter('c') });
  });
  test('a voter that must be wiped is removed, and not added again', () => {
    const clones = { ...facts().clones, c: { clone: 'c1', wiped: true } };
    expect(nextSyncStep(facts({ clones }))).toMatchObject({ do: 'remove', voter: voter('c') });
    const sync = syncRecord({ voters: [voter('b')] });
    expect(nextSyncStep(facts({ clones, sync, list: { names: ['b_b1'], k: 1 } })).do).toBe('nothing');
  });
  test('a removed member is removed; the only voter makes it empty, in strict mode nothing', () => {
    const f = facts({ members: ['a', 'b'] });
    expect(nextSyncStep(f)).toMatchObject({ do: 'remove', voter: voter('c') });
    const only = facts({ members: ['a', 'b'], sync: syncRecord({ voters: [voter('c')] }), senders: [] });
    expect(nextSyncStep(only).do).toBe('empty');
    expect(nextSyncStep({ ...only, mode: 'strict' }).do).toBe('nothing');
  });
  test('k follows the number of members, at most the number of voters', () => {
    expect(nextSyncStep(facts({ quorum: 2 }))).toEqual({ do: 'set_k', k: 2 });
    expect(nextSyncStep(facts({ quorum: 3 }))).toEqual({ do: 'set_k', k: 2 });
    expect(
      nextSyncStep(facts({ sync: syncRecord({ k: 2 }), list: { names: ['b_b1', 'c_c1'], k: 2 } })),
    ).toEqual({ do: 'set_k', k: 1 });
  });
  test('nobody is taken off while those that stay could not confirm: commits would wait for them', () => {
    const clones = { ...facts().clones, c: { clone: 'c1', wiped: true } };
    const f = facts({ clones, senders: [sender('c_c1')] });
    expect(nextSyncStep(f)).toEqual({ do: 'nothing' });
    expect(nextSyncStep({ ...f, list: { names: ['b_b1'], k: 1 } })).toEqual({ do: 'restore' });
    expect(nextSyncStep({ ...f, senders: [sender('b_b1')] })).toMatchObject({
      do: 'remove',
      voter: voter('c'),
    });
  });
  test('a member leaves while another is down: k is lowered first, so that those that stay can confirm', () => {
    const voters = [voter('b'), voter('c'), voter('d')];
    const f = facts({
      sync: syncRecord({ voters, k: 2 }),
      list: { names: ['b_b1', 'c_c1', 'd_d1'], k: 2 },
      senders: [sender('c_c1'), sender('d_d1')],
    });
    expect(nextSyncStep(f)).toEqual({ do: 'set_k', k: 1 });
    const lowered = { ...f, sync: syncRecord({ voters, k: 1 }) };
    expect(nextSyncStep(lowered)).toMatchObject({ do: 'remove', voter: voter('d') });
  });
  test('a list in PostgreSQL that is not the key’s is put right', () => {
    expect(nextSyncStep(facts({ list: null }))).toEqual({ do: 'restore' });
    expect(nextSyncStep(facts({ list: { names: ['b_b1', 'c_c1'], k: 2 } }))).toEqual({ do: 'restore' });
  });
  test('mode off empties the voters once and then leaves them alone', () => {
    expect(nextSyncStep(facts({ mode: 'off' })).do).toBe('empty');
    expect(nextSyncStep(facts({ mode: 'off', sync: syncRecord({ voters: [], k: 0 }), list: null })).do).toBe(
      'nothing',
    );
  });
});

/** `a`, active, holding a fresh right; `sync` and PostgreSQL's list as given. */
function active(sync: SyncRecord, list: SyncList, senders: WalSender[] = [sender('b_b1'), sender('c_c1')]) {
  const stage = new Stage();
  stage.store.put('sync', sync);
  const n = node('a', stage, { db: { facts: primary({ syncList: list }) } });
  stage.sees(n);
  stage.run(renewWith(n, []));
  stage.on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders }));
  stage.trace.length = 0;
  return { stage, n };
}
const steps = (stage: Stage) => stage.order(/^txn .* sync/, /pg\.setSyncList/, /pg\.replication/).slice(1);
/** The next write of the key has this outcome. */
const keyWrite = (stage: Stage, outcome: (ops: TxnOp[]) => TxnResult) => {
  let done = false;
  stage.on('consul.txn', (ops: TxnOp[]) => {
    const writes = ops.some((op) => op.verb === 'cas' && op.key === 'sync');
    if (!writes || done) return stage.store.txn(ops);
    done = true;
    return outcome(ops);
  });
};
const lists = (stage: Stage) => stage.args('pg.setSyncList').map(([list]) => list);
const KEY = 'txn next_master sync';
const LIST = 'pg.setSyncList';
const COVER = 'pg.replication';

describe('orders of key and list', () => {
  test('add a voter: key, then list', () => {
    const { stage, n } = active(syncRecord({ voters: [voter('b')] }), { names: ['b_b1'], k: 1 });
    stage.run(syncStep(n));
    expect(steps(stage)).toEqual([KEY, LIST]);
    expect(stage.store.sync.voters).toEqual([voter('b'), voter('c')]);
    expect(lists(stage)).toEqual([ab]);
  });
  test('from empty: list, covered, key', () => {
    const { stage, n } = active(syncRecord({ voters: [], k: 0 }), null);
    stage.run(syncStep(n));
    expect(steps(stage)).toEqual([LIST, COVER, KEY]);
    expect(stage.store.sync).toMatchObject({ voters: [voter('b')], k: 1 });
  });
  test('remove a voter: list, covered, key', () => {
    const { stage, n } = active(syncRecord(), ab);
    stage.store.put('state/c', stateRecord('c', { wants: 'rewind' }));
    stage.sees(n);
    stage.run(syncStep(n));
    expect(steps(stage)).toEqual([LIST, COVER, KEY]);
    expect(stage.store.sync.voters).toEqual([voter('b')]);
  });
  test('to empty: key, then list', () => {
    const { stage, n } = active(syncRecord(), ab, []);
    n.db.lonelySince = stage.now - 5000;
    expect(stage.run(syncStep(n))).toStartWith('DEGRADED');
    expect(steps(stage)).toEqual([KEY, LIST]);
    expect(lists(stage)).toEqual([null]);
  });
  test('raise k: list, covered, key', () => {
    const { stage, n } = active(syncRecord(), ab);
    for (const name of ['d', 'e']) stage.store.put(`nodes/${name}`, {});
    stage.sees(n);
    stage.run(syncStep(n));
    expect(steps(stage)).toEqual([LIST, COVER, KEY]);
    expect(stage.store.sync.k).toBe(2);
  });
  test('lower k: key, then list', () => {
    const two: SyncList = { names: ['b_b1', 'c_c1'], k: 2 };
    const { stage, n } = active(syncRecord({ k: 2 }), two);
    stage.run(syncStep(n));
    expect(steps(stage)).toEqual([KEY, LIST]);
    expect(stage.store.sync.k).toBe(1);
  });
  test('remove a voter that k counts on: k is lowered first, in a step of its own', () => {
    const two: SyncList = { names: ['b_b1', 'c_c1'], k: 2 };
    const { stage, n } = active(syncRecord({ k: 2 }), two);
    stage.store.put('nodes/d', nodeRecord('d'));
    stage.store.put('state/c', stateRecord('c', { wants: 'rewind' }));
    stage.sees(n);
    stage.run(syncStep(n));
    expect(steps(stage)).toEqual([KEY, LIST]);
    expect(stage.store.sync).toMatchObject({ voters: [voter('b'), voter('c')], k: 1 });
  });
  test('a node that leaves counts as a member no more: fewer have to confirm before it is taken off', () => {
    const voters = [voter('b'), voter('c'), voter('d')];
    const list: SyncList = { names: ['b_b1', 'c_c1', 'd_d1'], k: 2 };
    const { stage, n } = active(syncRecord({ voters, k: 2 }), list, [sender('c_c1'), sender('d_d1')]);
    stage.store.put('nodes/d', { ...nodeRecord('d'), leaving: true });
    stage.store.put('state/d', stateRecord('d'));
    stage.sees(n);
    for (let i = 0; i < 2; i += 1) {
      n.db.facts = primary({ syncList: (stage.args('pg.setSyncList').at(-1)?.[0] as SyncList) ?? list });
      stage.run(syncStep(n));
    }
    expect(stage.store.sync).toMatchObject({ voters: [voter('b'), voter('c')], k: 1 });
  });
  test('every key write is one transaction with the lease', () => {
    const { stage, n } = active(syncRecord({ voters: [voter('b')] }), { names: ['b_b1'], k: 1 });
    stage.run(syncStep(n));
    expect(stage.order(/^txn .* sync/)).toEqual([KEY]);
  });
});

describe('what goes wrong on the way', () => {
  const fromEmpty = () => active(syncRecord({ voters: [], k: 0 }), null);
  test('not covered: the key is not written', () => {
    const { stage, n } = active(syncRecord({ voters: [], k: 0 }), null, [sender('b_b1', { flush: 999n })]);
    expect(stage.run(syncStep(n))).toContain('not finished');
    expect(steps(stage)).not.toContain(KEY);
    expect(stage.store.sync.voters).toEqual([]);
  });
  test('what a standby on a branch of its own reports as flushed, past what it was sent, covers nothing', () => {
    const foreign = sender('b_b1', { sent: 1000n, flush: 5000n });
    const { stage, n } = active(syncRecord(), { names: ['b_b1'], k: 1 }, [foreign]);
    expect(stage.run(covered(n, { names: ['b_b1'], k: 1 }, 500))).toBe(false);
  });
  test('covered on another timeline is not covered', () => {
    const { stage, n } = active(syncRecord({ voters: [], k: 0 }), null, [sender('b_b1', { flush: 990n })]);
    let asked = 0;
    stage.on('pg.replication', () => {
      asked += 1;
      const moved = asked > 2;
      return {
        insert: 1000n,
        timeline: moved ? 4 : 3,
        senders: [sender('b_b1', { flush: moved ? 2000n : 990n })],
      };
    });
    stage.run(syncStep(n));
    expect(stage.store.sync.voters).toEqual([]);
  });
  test('one standby seen twice (a half-open walsender) is counted once', () => {
    const voters = [voter('b'), voter('c')];
    const { stage, n } = active(syncRecord({ voters }), ab, [
      sender('b_b1'),
      sender('b_b1'),
      sender('c_c1', { flush: 900n }),
    ]);
    for (const name of ['d', 'e']) stage.store.put(`nodes/${name}`, {});
    stage.sees(n);
    stage.run(syncStep(n));
    expect(stage.store.sync.k).toBe(1);
  });
  test('a list that was not effective stops the step before the key', () => {
    const { stage, n } = fromEmpty();
    stage.on('pg.setSyncList', () => ({ kind: 'failed', why: 'reload' }));
    stage.run(syncStep(n));
    expect(steps(stage)).toEqual([LIST]);
  });
  test('the key changed since it was read: the list follows nothing that is out of date', () => {
    const { stage, n } = active(syncRecord(), null);
    stage.store.put('sync', syncRecord({ voters: [voter('b')] }));
    expect(stage.run(syncStep(n))).toContain('put off');
    expect(lists(stage)).toEqual([]);
    stage.run(syncStep(n));
    expect(lists(stage)).toEqual([{ names: ['b_b1', 'c_c1'], k: 1 }]);
  });
  test('an unknown key write loosens nothing: the list stays', () => {
    const { stage, n } = active(syncRecord(), ab, []);
    n.db.lonelySince = stage.now - 5000;
    keyWrite(stage, stage.lostUnknown);
    stage.run(syncStep(n));
    expect(lists(stage)).toEqual([]);
    expect(n.holding.unsettled).toBe(true);
  });
  test('after an unknown key write a renewal comes first, the list is only put right after it', () => {
    const { stage, n } = active(syncRecord(), ab);
    stage.store.put('state/c', stateRecord('c', { wants: 'rewind' }));
    stage.sees(n);
    keyWrite(stage, stage.lostUnknown);
    stage.run(syncStep(n));
    n.db.facts = primary({ syncList: { names: ['b_b1'], k: 1 } });
    stage.store.put('state/c', stateRecord('c'));
    stage.sees(n);
    stage.trace.length = 0;
    expect(stage.run(syncStep(n))).toBe('an unconfirmed write of the voter list was settled');
    expect(stage.order(/^txn/, /setSyncList/)).toEqual(['txn next_master']);
    expect(stage.late()).toEqual({ kind: 'conflict' });
    stage.run(syncStep(n));
    expect(stage.order(/^txn/, /setSyncList/)).toEqual([
      'txn next_master',
      'txn next_master check:sync',
      LIST,
    ]);
  });
  test('a key write that landed without a reply is found out, and the step goes on', () => {
    const { stage, n } = active(syncRecord(), ab, []);
    n.db.lonelySince = stage.now - 5000;
    keyWrite(stage, stage.landedUnknown);
    stage.run(syncStep(n));
    expect(lists(stage)).toEqual([null]);
  });
});

describe('who keeps the voters', () => {
  const nothing = (change: (n: TestNode, stage: Stage) => void) => {
    const { stage, n } = active(syncRecord({ voters: [voter('b')] }), { names: ['b_b1'], k: 1 });
    change(n, stage);
    expect(stage.run(syncStep(n))).toBeNull();
    expect(steps(stage)).toEqual([]);
  };
  test('not a node that `sync` does not name', () =>
    nothing((n, stage) => {
      stage.store.put('sync', syncRecord({ leader: 'b', voters: [] }));
      stage.sees(n);
    }));
  test('not under another epoch than the one that `sync` was written under', () =>
    nothing((n) => {
      n.lease = { ...n.lease, right: { epoch: 6, until: 1e9 } };
    }));
  test('not without a right', () =>
    nothing((n) => {
      n.lease = { ...n.lease, right: null };
    }));
});

test('the time without voters starts when the last one stops streaming and ends when one is back', () => {
  const senders: WalSender[] = [];
  const { stage, n } = active(syncRecord(), ab, senders);
  stage.run(syncStep(n));
  const since = n.db.lonelySince;
  expect(since).not.toBeNull();
  stage.now += 1000;
  stage.run(syncStep(n));
  expect(n.db.lonelySince).toBe(since);
  senders.push(sender('c_c1'));
  stage.run(syncStep(n));
  expect(n.db.lonelySince).toBeNull();
});
