/**
 * The lease on `next_master` (CONTRACTS 5, PROTOCOL B). Every write of a holder is one transaction with a
 * compare-and-set of the lease, which is a renewal. The right to be active is counted from *before* the
 * request was sent.
 */
import { grant, nextTimes, rightOf, sending, takeTimes } from './lease_times.ts';
import { isMine, observe, remaining } from './lease_view.ts';
import { depose, letRunOut, writeSettled, writeUnknown } from './memory/holding.ts';
import type { NodeContext, Owning } from './node.ts';
import { withOwn } from './own_write.ts';
import { call, type Procedure, type TxnOp } from './ports.ts';
import type { LeaseRecord, Stood, View } from './records.ts';
import { takeMode } from './sync_mode.ts';
import { isUnreadable } from './unreadable.ts';

/** The node as this file sees it. */
type Node = Owning<'lease' | 'view' | 'viewAt'>;

const LEASE = 'next_master';
/**
 * A restarted agent has its predecessor's instance: its first seq lies past any that may still be under way.
 * The wall clock only tells apart two processes that both wrote once.
 */
const skip = (n: NodeContext): number => 1000 + (n.wall().getTime() % 1_000_000);

/** 'ok': committed, right extended. 'lost': another's. 'refused': it stands, another check failed. */
export type LeaseOutcome = 'ok' | 'lost' | 'refused' | 'unknown';

/** Take in a view that was just received. The one place where observations enter. */
export function receive(n: Node, view: View): void {
  const at = n.now();
  const had = n.lease.right !== null;
  if (view.cluster !== null && view.cluster.value.incarnation > n.lease.incarnation) {
    // Recovered Raft state may have gone back: indexes of an earlier incarnation mean nothing (PROTOCOL B.7).
    n.lease = {
      ...n.lease,
      index: 0,
      record: null,
      incarnation: view.cluster.value.incarnation,
      right: null,
    };
  }
  n.viewAt = at;
  const renewed = (n.view?.cluster?.value.incarnation ?? 0) < (view.cluster?.value.incarnation ?? 0);
  if (n.view === null || renewed || view.index >= n.view.index) n.view = view;
  takeTimes(n, n.view);
  takeMode(n, n.view);
  // What stands there is not known, and may be anything: it has not stood still, and it is not "nothing".
  if (isUnreadable(view, LEASE)) n.lease = { ...n.lease, firstSeen: at };
  else n.lease = observe(n.lease, view.lease, at);
  if (had && isTwin(n)) {
    n.log({
      component: 'lease',
      level: 'error',
      message:
        'another process renews the lease as this same instance (a cloned machine?): giving up the lease',
    });
    n.lease = { ...n.lease, right: null };
    letRunOut(n.holding);
  }
  if (had && n.lease.right === null) {
    depose(n.holding);
    n.wake();
  }
}

/** Its time is over, or it is another's: the guard fences. */
export function endRight(n: Node): void {
  n.lease = { ...n.lease, right: null };
}

/** A renewal under our own instance that we never sent: a machine cloned with its memory (PROTOCOL B.2). */
function isTwin(n: NodeContext): boolean {
  const { record, lastSeq } = n.lease;
  return record !== null && isMine(n.lease, n.name, n.instance) && record.seq > lastSeq;
}

export function* refresh(n: Node): Procedure<boolean> {
  const view = yield* call('consul', 'read', n.policy.retryPeriod);
  if (view === 'unknown') return false;
  receive(n, view);
  return true;
}

/** Run `body` with the lease's lock: one write at a time, or a renewal would race with our transaction. */
function* locked<T>(n: NodeContext, body: () => Procedure<T>): Procedure<T> {
  yield* call('time', 'lock', 'lease');
  try {
    return yield* body();
  } finally {
    n.unlock('lease');
  }
}

/**
 * One compare-and-set of the lease with `next`, together with `ops`. `settled` says how an unknown outcome or
 * a `false` that may be our own late write is settled: by comparing holder, instance, epoch and seq (PROTOCOL
 * B.3).
 */
function* write(n: Node, next: LeaseRecord, ops: TxnOp[], grants: boolean): Procedure<LeaseOutcome> {
  for (let attempt = 0; attempt < 2; attempt++) {
    const sent = n.now();
    const index = n.lease.index;
    // Each attempt has a seq of its own: finding it settles that *this* request was committed, after `sent`.
    const fresh = n.lease.lastSeq === 0 ? next.seq + skip(n) : n.lease.lastSeq + 1;
    const times = nextTimes(n, sent);
    next = { ...next, seq: Math.max(next.seq, fresh), times };
    n.lease = { ...sending(n, times), lastSeq: next.seq };
    const settled = () => {
      n.lease = { ...n.lease, unsettledDeadline: times.renewDeadline };
      if (grants) n.lease = grant(n.lease, next.epoch, sent + rightOf(n, times));
      writeSettled(n.holding);
    };
    const result = yield* call(
      'consul',
      'txn',
      [{ verb: 'cas', key: LEASE, value: next, index }, ...ops],
      n.policy.retryPeriod,
    );
    if (result.kind === 'ok') {
      if (result.index > n.lease.index) accept(n, next, result.index);
      if (n.view !== null) n.view = withOwn(n.view, next, ops, result.index);
      settled();
      return 'ok';
    }
    if (!(yield* refresh(n))) return 'unknown';
    const seen = n.lease.record;
    if (seen !== null && same(seen, next)) {
      // It was committed after it was sent: the right counts from there, and the transaction's other writes
      // are in too.
      settled();
      return 'ok';
    }
    if (result.kind === 'unknown') return 'unknown';
    if (n.lease.index === index) return 'refused';
    if (seen === null || !isMine(n.lease, n.name, n.instance) || seen.epoch !== next.epoch) break;
    // An earlier write of our own arrived late: go on from its index.
  }
  if (isMine(n.lease, n.name, n.instance)) return 'unknown';
  if (n.lease.right !== null) depose(n.holding);
  n.lease = { ...n.lease, right: null };
  return 'lost';
}

function accept(n: Node, record: LeaseRecord, index: number): void {
  n.lease = { ...n.lease, known: true, index, record, firstSeen: n.now() };
}

function same(a: LeaseRecord, b: LeaseRecord): boolean {
  return a.holder === b.holder && a.instance === b.instance && a.epoch === b.epoch && a.seq === b.seq;
}

/** Renew, together with `ops` (PROTOCOL B.6). */
export function* renewWith(n: Node, ops: TxnOp[]): Procedure<LeaseOutcome> {
  return yield* locked(n, function* () {
    const record = n.lease.record;
    if (record === null || !isMine(n.lease, n.name, n.instance)) return 'lost';
    if (ops.length > 0 && remaining(n.lease, n.now()) <= 0) return 'lost';
    const next: LeaseRecord = { ...record, seq: record.seq + 1 };
    const outcome = yield* write(n, next, ops, true);
    if (ops.length > 0 && outcome === 'unknown') writeUnknown(n.holding);
    return outcome;
  });
}

/** Renew, and say whether the right that is left exceeds the worst case of what comes next (PROTOCOL B.5). */
export function* confirm(n: Node, worstCase: number): Procedure<boolean> {
  const outcome = yield* renewWith(n, []);
  return outcome === 'ok' && remaining(n.lease, n.now()) > worstCase;
}

/**
 * Take the lease at the index that was voted on (0: it never existed). Not yet a right: that begins with our
 * own renewal, which also checks that `sync` is still the one the votes were counted against (PROTOCOL B.1,
 * B.6, D.6).
 */
export function* takeOver(
  n: Node,
  index: number,
  syncIndex: number,
  reason: string,
  stood?: Stood,
): Procedure<LeaseOutcome> {
  return yield* locked(n, function* () {
    if (n.lease.index !== index) return 'lost';
    const old = n.lease.record;
    const check: TxnOp[] = [{ verb: 'check-index', key: 'sync', index: syncIndex }];
    const taken: LeaseRecord = {
      schema: 1,
      holder: n.name,
      instance: n.instance,
      epoch: (old?.epoch ?? 0) + 1,
      seq: 0,
      reason,
      from: old === null ? null : old.holder === '' ? old.from : old.holder,
      clean: null,
      ...(stood === undefined ? {} : { stood }),
      closedForMs: null,
    };
    const outcome = yield* write(n, taken, syncIndex > 0 ? check : [], false);
    if (outcome !== 'ok') return outcome;
    return yield* write(n, taken, syncIndex > 0 ? check : [], true);
  });
}

/** The lease was handed to us: make it a right of our own. */
export function* acceptOffer(n: Node, stood?: Stood): Procedure<LeaseOutcome> {
  return yield* locked(n, function* () {
    const offer = n.lease.record;
    if (offer === null || offer.holder !== n.name || offer.instance !== '') return 'lost';
    const accepted = { ...offer, instance: n.instance, seq: offer.seq + 1 };
    return yield* write(n, stood === undefined ? accepted : { ...accepted, stood }, syncCheck(n), true);
  });
}

/**
 * Give the lease away, to `to` or to whoever wins the votes (''). Only ever after a *confirmed* stop of the
 * own database, fenced (PROTOCOL D.8). The own right ends before the request is sent: its outcome may stay
 * unknown.
 */
export function* giveAway(
  n: Node,
  to: string,
  reason: string,
  clean: LeaseRecord['clean'],
  closedForMs: number | null,
): Procedure<LeaseOutcome> {
  return yield* locked(n, function* () {
    const record = n.lease.record;
    if (record === null || !isMine(n.lease, n.name, n.instance)) return 'lost';
    n.lease = { ...n.lease, right: null };
    const next: LeaseRecord = {
      schema: 1,
      holder: to,
      instance: '',
      epoch: to === '' ? record.epoch : record.epoch + 1,
      seq: record.seq + 1,
      reason,
      from: n.name,
      clean,
      closedForMs,
    };
    return yield* write(n, next, [], false);
  });
}

function syncCheck(n: NodeContext): TxnOp[] {
  const sync = n.view?.sync ?? null;
  return sync === null ? [] : [{ verb: 'check-index', key: 'sync', index: sync.index }];
}
