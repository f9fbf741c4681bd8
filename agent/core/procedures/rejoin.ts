/**
 * A node whose data cannot follow as it is: saved, then rewound, or cloned again (PROTOCOL E, CONTRACTS 12).
 */
import type { Result } from '../actions.ts';
import { refresh } from '../lease.ts';
import { beginRebuild, breakRebuild, endRebuild } from '../memory/copy.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import type { Fork } from '../postgres.ts';
import { faultsOf } from '../unreadable.ts';
import { carryList } from './opening.ts';
import { follow, isCountedOn, mayFollow, upstreamOf } from './vote.ts';

const START = 10_000;

/**
 * Rewind or re-clone from the holder. Precondition, checked again here: this clone is no voter and `sync`
 * names another leader (PROTOCOL D.5), so no vote will ever count on what is wiped. The new clone id is
 * durable before the first byte.
 */
export function* rebuild(
  n: NodeContext,
  how: 'rewind' | 'reclone',
  fork: Fork | null,
  clone: string,
): Procedure<Result> {
  if (!mayWipe(n)) return { ok: false, why: 'this clone may still be needed by a vote' };
  const record = n.lease.record;
  const upstream = record === null ? null : upstreamOf(n, record.holder);
  if (record === null || upstream === null || !mayFollow(n, record, n.lease.index))
    return { ok: false, why: 'no active to copy from' };
  if (n.copy.durable.rebuilding === null && n.db.facts?.data === 'ok') {
    const saved = yield* call('pg', 'saveDivergence', record.epoch, fork, how);
    if (saved.kind !== 'done') return { ok: false, why: `what differs was not saved: ${saved.why}` };
  }
  const stopped = yield* call('pg', 'stop', 'fast', n.policy.stopTimeout, true);
  if (stopped.kind !== 'stopped') return { ok: false, why: stopped.why };
  // It no longer streams: what the voter list says now is what counts.
  if (!(yield* refresh(n)) || !mayWipe(n))
    return { ok: false, why: 'this clone may still be needed by a vote' };
  beginRebuild(n.copy, clone, how);
  yield* call('store', 'save', n.copy.durable);
  const done = yield* call('pg', 'rebuild', how, upstream, clone);
  if (done.kind !== 'done') {
    // A rewind that failed half way leaves nothing to build on; the next try copies everything.
    breakRebuild(n.copy);
    yield* call('store', 'save', n.copy.durable);
    return { ok: false, why: done.why };
  }
  endRebuild(n.copy);
  yield* call('store', 'save', n.copy.durable);
  yield* carryList(n);
  // Copied or rewound data is consistent only with WAL that the source has: cut off, it would never accept
  // connections.
  yield* follow(n, upstream.node);
  const started = yield* call('pg', 'startStandby', START);
  return started.kind === 'done' ? { ok: true } : { ok: false, why: started.why };
}

/** Is nothing on this node's disk that a promotion might still count on? */
export function mayWipe(n: NodeContext): boolean {
  return faultsOf(n.view).length === 0 && !isCountedOn(n);
}
