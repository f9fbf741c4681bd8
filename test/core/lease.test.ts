import { describe, expect, test } from 'bun:test';
import { acceptOffer, confirm, giveAway, receive, renewWith, takeOver } from '../../agent/core/lease.ts';
import type { NodeContext } from '../../agent/core/node.ts';
import type { TxnOp } from '../../agent/core/ports.ts';
import { leaseRecord, node } from './build.ts';
import { Stage } from './stage.ts';

function holder(stage = new Stage()): { stage: Stage; n: NodeContext } {
  const n = node('a', stage);
  stage.sees(n);
  return { stage, n };
}

describe('renewal', () => {
  test('the right is counted from before the request was sent, not from the reply', () => {
    const { stage, n } = holder();
    stage.takes('consul.txn', 700);
    const sent = stage.now;
    expect(stage.run(renewWith(n, []))).toBe('ok');
    expect(n.lease.right).toEqual({ epoch: 5, until: sent + n.policy.renewDeadline });
  });
  test('each renewal raises seq and moves on from the index that it wrote', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.run(renewWith(n, []));
    expect(stage.store.lease.seq).toBeGreaterThan(41);
    expect(n.lease.index).toBe(stage.store.index);
  });
  test('reply lost, write committed: settled by reading, and the right counts from that attempt', () => {
    const { stage, n } = holder();
    stage.takes('consul.txn', 900).once('consul.txn', stage.landedUnknown);
    const sent = stage.now;
    expect(stage.run(renewWith(n, []))).toBe('ok');
    expect(n.lease.right?.until).toBe(sent + n.policy.renewDeadline);
  });
  test('reply lost, write not there: unknown, and no right comes of it', () => {
    const { stage, n } = holder();
    stage.once('consul.txn', stage.lostUnknown);
    expect(stage.run(renewWith(n, []))).toBe('unknown');
    expect(n.lease.right).toBeNull();
  });
  test('reply lost and Consul unreadable: unknown, the right that was left stays as it was', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    const before = n.lease.right;
    stage.once('consul.txn', stage.lostUnknown).once('consul.read', () => 'unknown');
    expect(stage.run(renewWith(n, []))).toBe('unknown');
    expect(n.lease.right).toEqual(before);
  });
  test('an earlier attempt that arrives late is not taken for this one: written again on top of it', () => {
    const { stage, n } = holder();
    stage.once('consul.txn', stage.lostUnknown);
    stage.run(renewWith(n, []));
    stage.late();
    const lateSeq = stage.store.lease.seq;
    stage.now += 1000;
    const sent = stage.now;
    expect(stage.run(renewWith(n, []))).toBe('ok');
    expect(stage.store.lease.seq).toBeGreaterThan(lateSeq);
    // The late one may have been committed long ago: the right is that of the second attempt of this call.
    expect(n.lease.right?.until).toBeGreaterThan(sent + n.policy.renewDeadline);
    expect(stage.order(/^txn/)).toHaveLength(3);
  });
  test('a predecessor’s write under way when the agent restarted is not taken for an own one', () => {
    const { stage, n } = holder();
    stage.once('consul.txn', stage.lostUnknown);
    stage.run(renewWith(n, []));
    // The new process has the same instance and has seen the same record.
    const again = node('a', stage);
    stage.sees(again);
    stage.late();
    stage.now += 800;
    const sent = stage.now;
    stage.run(renewWith(again, []));
    expect(stage.order(/^txn/)).toHaveLength(3);
    expect(again.lease.right?.until).toBeGreaterThan(sent + again.policy.renewDeadline);
  });
  test('another holder in Consul: lost, and the own right ends', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    expect(stage.run(renewWith(n, []))).toBe('lost');
    expect(n.lease.right).toBeNull();
  });
  test('a renewal under the own instance that was never sent here, by a clone of this machine: given up', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.store.put('next_master', { ...stage.store.lease, seq: n.lease.lastSeq + 1 });
    stage.sees(n);
    expect(n.lease.right).toBeNull();
    expect(n.holding.renewing).toBe(false);
    expect(n.holding.deposed).toBe(true);
  });
  test('an impostor under the own name in Consul: lost, and the own right ends', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.store.put('next_master', leaseRecord({ instance: 'boot-a-copy', seq: 90 }));
    expect(stage.run(renewWith(n, []))).toBe('lost');
    expect(n.lease.right).toBeNull();
  });
  test('who does not hold it does not even ask', () => {
    const stage = new Stage();
    const n = node('b', stage);
    stage.sees(n);
    expect(stage.run(renewWith(n, []))).toBe('lost');
    expect(stage.order(/^txn/)).toEqual([]);
  });
});

describe('a write of the holder', () => {
  const set: TxnOp = { verb: 'set', key: 'active', value: { node: 'a' } };
  test('is one transaction with the compare-and-set of the lease', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.run(renewWith(n, [set]));
    expect(stage.order(/^txn/)[1]).toBe('txn next_master active');
  });
  test('cannot land under a newer epoch: the compare-and-set fails with it', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.once('consul.txn', stage.lostUnknown);
    stage.run(renewWith(n, [set]));
    stage.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    expect(stage.late()).toEqual({ kind: 'conflict' });
    expect(stage.store.get('active')).toBeNull();
  });
  test('is not sent once the right has run out', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.now += n.policy.renewDeadline;
    expect(stage.run(renewWith(n, [set]))).toBe('lost');
    expect(stage.order(/^txn/)).toHaveLength(1);
  });
  test('whose own check fails is refused, and costs neither lease nor right', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    const right = n.lease.right;
    const outcome = stage.run(renewWith(n, [{ verb: 'cas', key: 'sync', value: {}, index: 1 }]));
    expect(outcome).toBe('refused');
    expect(n.lease.right).toEqual(right);
  });
  test('with an unknown outcome leaves the node unsettled until a renewal succeeded', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.once('consul.txn', stage.lostUnknown);
    stage.run(renewWith(n, [set]));
    expect(n.holding.unsettled).toBe(true);
    stage.run(renewWith(n, []));
    expect(n.holding.unsettled).toBe(false);
    expect(stage.late()).toEqual({ kind: 'conflict' });
  });
});

describe('confirm', () => {
  test('a right longer than the worst case of what comes next: yes', () => {
    const { stage, n } = holder();
    expect(stage.run(confirm(n, 1500))).toBe(true);
  });
  test('a renewal that took so long that less is left: no', () => {
    const { stage, n } = holder();
    stage.takes('consul.txn', 2600);
    expect(stage.run(confirm(n, 1500))).toBe(false);
  });
  test('an old right that is still long enough does not replace the renewal', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.once('consul.txn', stage.lostUnknown);
    expect(stage.run(confirm(n, 0))).toBe(false);
  });
});

describe('takeover', () => {
  function challenger() {
    const stage = new Stage();
    const n = node('b', stage);
    stage.sees(n);
    stage.now += n.policy.leaseDuration;
    return { stage, n, index: n.lease.index, syncIndex: n.view?.sync?.index ?? 0 };
  }
  test('gives a right only by the own renewal that follows, both with a check on sync', () => {
    const { stage, n, index, syncIndex } = challenger();
    const starts: number[] = [];
    stage.on('consul.txn', (ops: TxnOp[]) => {
      starts.push(stage.now - 1);
      expect(n.lease.right).toBeNull();
      return stage.store.txn(ops);
    });
    expect(stage.run(takeOver(n, index, syncIndex, 'test'))).toBe('ok');
    expect(stage.order(/^txn/)).toEqual(['txn next_master check:sync', 'txn next_master check:sync']);
    expect(n.lease.right).toEqual({ epoch: 6, until: (starts[1] ?? 0) + n.policy.renewDeadline });
    expect(stage.store.lease).toMatchObject({ holder: 'b', instance: 'boot-b', epoch: 6, from: 'a' });
  });
  test('a renewal of the holder in between makes it fail', () => {
    const { stage, n, index, syncIndex } = challenger();
    stage.store.put('next_master', leaseRecord({ seq: 41 }));
    expect(stage.run(takeOver(n, index, syncIndex, 'test'))).toBe('lost');
    expect(stage.store.lease.holder).toBe('a');
    expect(n.lease.right).toBeNull();
  });
  test('an index that moved on before the lock was had is not challenged', () => {
    const { stage, n, index, syncIndex } = challenger();
    stage.store.put('next_master', leaseRecord({ seq: 41 }));
    stage.sees(n);
    expect(stage.run(takeOver(n, index, syncIndex, 'test'))).toBe('lost');
    expect(stage.order(/^txn/)).toEqual([]);
  });
  test('a sync that changed after the votes makes it fail', () => {
    const { stage, n, index, syncIndex } = challenger();
    stage.store.put('sync', { ...stage.store.sync, voters: [] });
    expect(stage.run(takeOver(n, index, syncIndex, 'test'))).toBe('refused');
    expect(stage.store.lease.holder).toBe('a');
  });
  test('sync changed between the takeover and the own renewal: no right', () => {
    const { stage, n, index, syncIndex } = challenger();
    stage.once('consul.txn', (ops: TxnOp[]) => {
      const done = stage.store.txn(ops);
      stage.store.put('sync', { ...stage.store.sync, voters: [] });
      return done;
    });
    expect(stage.run(takeOver(n, index, syncIndex, 'test'))).toBe('refused');
    expect(n.lease.right).toBeNull();
  });
  test('an unknown outcome gives no right', () => {
    const { stage, n, index, syncIndex } = challenger();
    stage.once('consul.txn', stage.lostUnknown);
    expect(stage.run(takeOver(n, index, syncIndex, 'test'))).toBe('unknown');
    expect(n.lease.right).toBeNull();
  });
  test('of two challengers at one index one wins', () => {
    const { stage, n, index, syncIndex } = challenger();
    const other = node('c', stage);
    stage.sees(other);
    expect(stage.run(takeOver(n, index, syncIndex, 'test'))).toBe('ok');
    expect(stage.run(takeOver(other, index, syncIndex, 'test'))).toBe('lost');
    expect(stage.store.lease.holder).toBe('b');
  });
});

describe('handing over', () => {
  test('the own right ends before the request is sent', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.once('consul.txn', (ops: TxnOp[]) => {
      expect(n.lease.right).toBeNull();
      return stage.store.txn(ops);
    });
    expect(stage.run(giveAway(n, 'b', 'test', { timeline: 3, lsn: '990' }, 12))).toBe('ok');
    expect(stage.store.lease).toMatchObject({ holder: 'b', instance: '', epoch: 6, from: 'a' });
    expect(n.lease.right).toBeNull();
  });
  test('an unknown outcome leaves no right behind', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.once('consul.txn', stage.lostUnknown);
    expect(stage.run(giveAway(n, 'b', 'test', null, null))).toBe('unknown');
    expect(n.lease.right).toBeNull();
  });
  test('one that was never committed is taken back by renewing, and cannot land later', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.once('consul.txn', stage.lostUnknown);
    stage.run(giveAway(n, 'b', 'test', null, null));
    expect(stage.run(renewWith(n, []))).toBe('ok');
    expect(stage.late()).toEqual({ kind: 'conflict' });
    expect(stage.store.lease.holder).toBe('a');
  });
  test('released: no holder, the same epoch, so that the next one is counted from it', () => {
    const { stage, n } = holder();
    stage.run(giveAway(n, '', 'test', null, null));
    expect(stage.store.lease).toMatchObject({ holder: '', instance: '', epoch: 5, from: 'a' });
  });
  test('the offer is a right only after the target’s own renewal', () => {
    const { stage, n } = holder();
    stage.run(giveAway(n, 'b', 'test', { timeline: 3, lsn: '990' }, 12));
    const target = node('b', stage);
    stage.sees(target);
    expect(target.lease.right).toBeNull();
    const sent = stage.now;
    expect(stage.run(acceptOffer(target))).toBe('ok');
    expect(target.lease.right).toEqual({ epoch: 6, until: sent + target.policy.renewDeadline });
    expect(stage.store.lease).toMatchObject({ holder: 'b', instance: 'boot-b' });
    expect(stage.order(/^txn/).at(-1)).toBe('txn next_master check:sync');
  });
  test('what was offered to another, or is held already, is not accepted', () => {
    const { stage, n } = holder();
    stage.run(giveAway(n, 'b', 'test', null, null));
    const other = node('c', stage);
    stage.sees(other);
    expect(stage.run(acceptOffer(other))).toBe('lost');
  });
});

describe('receive', () => {
  test('a higher incarnation drops index and right: recovered Raft state may have gone back', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    const view = stage.store.view();
    receive(n, {
      ...view,
      index: 7,
      cluster: { value: { schema: 1, id: 'cluster', incarnation: 2, systemId: 'sys' }, index: 6 },
      lease: { value: leaseRecord({ epoch: 1005, holder: 'b' }), index: 7 },
    });
    expect(n.lease.index).toBe(7);
    expect(n.lease.right).toBeNull();
    expect(n.lease.incarnation).toBe(2);
    expect(n.view?.index).toBe(7);
  });
  test('an older view replaces neither the view nor the lease', () => {
    const { stage, n } = holder();
    const old = stage.store.view();
    stage.store.put('next_master', leaseRecord({ seq: 41 }));
    stage.sees(n);
    const index = n.lease.index;
    receive(n, old);
    expect(n.lease.index).toBe(index);
    expect(n.view?.index).toBe(stage.store.index);
  });
  test('losing the right by what was read wakes the node', () => {
    const { stage, n } = holder();
    stage.run(renewWith(n, []));
    stage.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
    const before = stage.wakes;
    stage.sees(n);
    expect(stage.wakes).toBe(before + 1);
  });
});
