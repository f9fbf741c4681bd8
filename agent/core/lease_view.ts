/**
 * What this node knows of the lease (CONTRACTS 5, PROTOCOL B): the newest record it has seen, when it first
 * saw it on its own clock, and its own right to be active, if any.
 */
import type { LeaseRecord } from './records.ts';

export type LeaseView = {
  /** ModifyIndex of the newest record seen; 0: none. */
  index: number;
  record: LeaseRecord | null;
  /** Own clock when `index` was first received. */
  firstSeen: number;
  /** Do we know anything at all yet? */
  known: boolean;
  /**
   * Incarnation of the cluster in which `index` counts; Raft state that went back starts afresh (PROTOCOL
   * B.7).
   */
  incarnation: number;
  /** Our right to be active: from our own successful renewal, counted from before it was sent. */
  right: { epoch: number; until: number } | null;
  /** The highest seq this process ever sent: no two attempts share one (PROTOCOL B.3). */
  lastSeq: number;
  /** Own clock: no right that this process was ever given runs longer; null: it was given none. */
  granted: number | null;
  /** The shortest renew_deadline in a write whose outcome may still be unknown, ms. */
  unsettledDeadline: number;
};

export function emptyLease(): LeaseView {
  return {
    index: 0,
    record: null,
    firstSeen: Number.NEGATIVE_INFINITY,
    known: false,
    incarnation: 0,
    right: null,
    lastSeq: 0,
    granted: null,
    unsettledDeadline: Number.POSITIVE_INFINITY,
  };
}

/**
 * Take in a read of `next_master`. An older index than the newest seen is a stale read and changes nothing.
 */
export function observe(
  lease: LeaseView,
  read: { value: LeaseRecord; index: number } | null,
  now: number,
): LeaseView {
  if (read === null) return lease.index > 0 ? lease : { ...lease, known: true };
  if (lease.known && read.index <= lease.index) return lease;
  const next: LeaseView = { ...lease, known: true, index: read.index, record: read.value, firstSeen: now };
  const right = lease.right;
  if (right !== null && read.value.epoch > right.epoch) return { ...next, right: null };
  return next;
}

/** How long the newest record has stood unchanged on our own clock. */
export function stillFor(lease: LeaseView, now: number): number {
  return lease.record === null ? 0 : now - lease.firstSeen;
}

/** Milliseconds left of our own right; 0 or less: none. */
export function remaining(lease: LeaseView, now: number): number {
  return lease.right === null ? 0 : lease.right.until - now;
}

export function isMine(lease: LeaseView, node: string, instance: string): boolean {
  return lease.record !== null && lease.record.holder === node && lease.record.instance === instance;
}

/** Handed over to this node, which has not renewed yet (PROTOCOL B.1). */
export function isOffered(lease: LeaseView, node: string): boolean {
  return lease.record !== null && lease.record.holder === node && lease.record.instance === '';
}

/** Our name, another instance: a cloned VM, a second process, or ourselves before a reboot (PROTOCOL B.2). */
export function isImpostor(lease: LeaseView, node: string, instance: string): boolean {
  const record = lease.record;
  return record !== null && record.holder === node && record.instance !== '' && record.instance !== instance;
}
