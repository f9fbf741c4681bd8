/** The own data against the branch that `sync` names (PROTOCOL E.1), and against that of the lease's holder (D.6). Pure. */
import { compareBranch, isPrefix } from './branch.ts';
import type { Fork, Position } from './postgres.ts';
import { forksOf, type HistoryRecord, type LeaseRecord, type SyncRecord } from './records.ts';

export type OwnBranch =
  /** All of it is in the leader's history: it can simply follow. */
  | { kind: 'contained' }
  /** It went on after the leader's branch had left at `fork`: those writes were never on the leader. */
  | { kind: 'diverged'; fork: Fork }
  /** The own timeline is newer than the one `sync` names: a promotion that is not written down there (yet). */
  | { kind: 'newer' };

/** null while the own position is not settled: "contained" would come too early then. */
export function branchOf(own: Position, ownHistory: Fork[] | null, sync: SyncRecord): OwnBranch | null {
  if (!own.settled) return null;
  // Numbers are reserved under the lease, so a higher one is a later promotion (PROTOCOL E.1).
  if (own.timeline > sync.timeline) return { kind: 'newer' };
  return compareBranch(
    { timeline: own.timeline, history: ownHistory ?? [], lsn: own.replayed },
    { timeline: sync.timeline, history: forksOf(sync.history) },
  );
}

/** prefix: all of it is in the holder's log, so it may follow. foreign: it is not. unknown: not settled, or not told. */
export type Towards = 'prefix' | 'foreign' | 'unknown';

/**
 * The own data against the branch of the lease's holder (PROTOCOL D.6): as `sync` has it once the holder has opened, before
 * that as the takeover record tells where the holder stood. A promotion's own timeline is known by the number it reserved.
 */
export function towardsHolder(
  own: Position,
  ownHistory: Fork[] | null,
  record: LeaseRecord,
  sync: SyncRecord | null,
  history: readonly HistoryRecord[],
): Towards {
  if (!own.settled) return 'unknown';
  const mine = { timeline: own.timeline, history: ownHistory ?? [] };
  if (sync !== null && sync.leader === record.holder && sync.epoch === record.epoch) {
    if (own.timeline > sync.timeline) return 'unknown';
    const leader = { timeline: sync.timeline, history: forksOf(sync.history) };
    return fits(own, (lsn) => compareBranch({ ...mine, lsn }, leader).kind === 'contained');
  }
  const reserved = history.find((h) => h.epoch === record.epoch && h.holder === record.holder);
  // Numbers are reserved once: whoever is on it has it from this holder (PROTOCOL E.1).
  if (reserved !== undefined && own.timeline === reserved.timeline) return 'prefix';
  if (record.stood === undefined) return 'unknown';
  const { timeline, lsn: end, history: forks } = record.stood;
  const base = { timeline, history: forksOf(forks), lsn: BigInt(end) };
  return fits(own, (lsn) => isPrefix({ ...mine, lsn }, base));
}

/** What was received of an unfinished record is overwritten, not lost; until replay has come to its end it may be more. */
function fits(own: Position, within: (lsn: bigint) => boolean): Towards {
  if (within(own.lsn)) return 'prefix';
  if (!within(own.replayed)) return 'foreign';
  return own.idle === true ? 'prefix' : 'unknown';
}
