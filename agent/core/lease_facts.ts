/** The lease and the own right, as a decision sees them. */
import { isImpostor, isMine, isOffered, remaining, stillFor } from './lease_view.ts';
import type { NodeContext } from './node.ts';
import type { LeaseRecord } from './records.ts';

type Held = {
  /** '': nobody. */
  holder: string;
  /** Of a released lease: by whom, and why. */
  released?: string;
};

export type LeaseFacts = Held & {
  /** unknown: nothing was ever read. absent: read, and there is none. */
  state: 'unknown' | 'absent' | 'free' | 'mine' | 'offered' | 'other' | 'impostor';
  epoch: number;
  index: number;
  /** How long it has stood unchanged on our clock, ms. */
  still: number;
  /** What is left of our own right, ms; 0: none. */
  right: number;
};

/** `now`: the moment of the other facts, own clock. */
export function leaseFacts(n: NodeContext, now: number): LeaseFacts {
  const { record, index } = n.lease;
  return {
    state: leaseState(n),
    ...holderOf(record),
    epoch: record?.epoch ?? 0,
    index,
    still: stillFor(n.lease, now),
    right: Math.max(0, remaining(n.lease, now)),
  };
}

function leaseState(n: NodeContext): LeaseFacts['state'] {
  if (!n.lease.known) return 'unknown';
  const record = n.lease.record;
  if (record === null) return 'absent';
  if (record.holder === '') return 'free';
  // A holder that gave up renewing is, to itself too, one whose lease has to run out (PROTOCOL D.9).
  if (isMine(n.lease, n.name, n.instance))
    return n.holding.renewing || n.lease.right !== null ? 'mine' : 'impostor';
  if (isOffered(n.lease, n.name)) return 'offered';
  return isImpostor(n.lease, n.name, n.instance) ? 'impostor' : 'other';
}

const holderOf = (record: LeaseRecord | null): Held =>
  record?.holder === ''
    ? { holder: '', released: `${record.from ?? 'its holder'} released the lease: ${record.reason}` }
    : { holder: record?.holder ?? '' };
