import { describe, expect, test } from 'bun:test';
import {
  emptyLease,
  isImpostor,
  isMine,
  isOffered,
  type LeaseView,
  observe,
  remaining,
  stillFor,
} from '../../agent/core/lease_view.ts';
import { leaseRecord } from './build.ts';

const seen = (index: number, over: Parameters<typeof leaseRecord>[0] = {}, at = 1000): LeaseView =>
  observe(emptyLease(), { value: leaseRecord(over), index }, at);

describe('observe', () => {
  test('the first read of an index starts its clock; reading it again does not restart it', () => {
    const first = seen(100, {}, 1000);
    expect(stillFor(first, 4000)).toBe(3000);
    expect(observe(first, { value: leaseRecord(), index: 100 }, 3999)).toBe(first);
  });
  test('a newer index restarts the clock, whoever wrote it', () => {
    const next = observe(seen(100), { value: leaseRecord({ seq: 41 }), index: 105 }, 2500);
    expect(stillFor(next, 4000)).toBe(1500);
  });
  test('a stale read (older index) changes nothing', () => {
    const lease = seen(100);
    expect(observe(lease, { value: leaseRecord({ holder: 'c', epoch: 4 }), index: 99 }, 2000)).toBe(lease);
  });
  test('reading nothing after a record was seen is a stale read, not a free lease', () => {
    const lease = seen(100);
    expect(observe(lease, null, 2000)).toBe(lease);
  });
  test('nothing read yet is unknown; read and absent is known', () => {
    expect(emptyLease().known).toBe(false);
    expect(observe(emptyLease(), null, 1).known).toBe(true);
  });
  test('a higher epoch ends the own right at once', () => {
    const lease = { ...seen(100), right: { epoch: 5, until: 9000 } };
    const after = observe(lease, { value: leaseRecord({ holder: 'b', epoch: 6 }), index: 101 }, 1500);
    expect(after.right).toBeNull();
  });
  test('a renewal under the same epoch leaves the own right alone', () => {
    const lease = { ...seen(100), right: { epoch: 5, until: 9000 } };
    const after = observe(lease, { value: leaseRecord({ seq: 41 }), index: 101 }, 1500);
    expect(after.right).toEqual({ epoch: 5, until: 9000 });
  });
});

describe('whose it is', () => {
  test('holder and instance both count: the same name with another instance is an impostor', () => {
    const lease = seen(100, { holder: 'a', instance: 'boot-a' });
    expect(isMine(lease, 'a', 'boot-a')).toBe(true);
    expect(isMine(lease, 'a', 'boot-a2')).toBe(false);
    expect(isImpostor(lease, 'a', 'boot-a2')).toBe(true);
    expect(isImpostor(lease, 'a', 'boot-a')).toBe(false);
  });
  test('no instance yet means offered, neither held nor an impostor', () => {
    const lease = seen(100, { holder: 'b', instance: '' });
    expect(isOffered(lease, 'b')).toBe(true);
    expect(isMine(lease, 'b', 'boot-b')).toBe(false);
    expect(isImpostor(lease, 'b', 'boot-b')).toBe(false);
    expect(isOffered(lease, 'c')).toBe(false);
  });
  test('without a record nothing is anybody’s and nothing stands still', () => {
    const none = emptyLease();
    expect([isMine(none, 'a', 'x'), isOffered(none, 'a'), isImpostor(none, 'a', 'x')]).toEqual([
      false,
      false,
      false,
    ]);
    expect(stillFor(none, 1e9)).toBe(0);
  });
});

test('what remains of a right goes to zero and below; no right is zero', () => {
  const lease = { ...seen(100), right: { epoch: 5, until: 5000 } };
  expect(remaining(lease, 4000)).toBe(1000);
  expect(remaining(lease, 5500)).toBe(-500);
  expect(remaining(emptyLease(), 0)).toBe(0);
});
