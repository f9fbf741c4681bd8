/**
 * Branches of the write-ahead log. A branch is a timeline with the history that leads to it; two nodes may
 * give the same number to different timelines (PROTOCOL E.1), so whole histories are compared. Pure.
 */
import type { Fork, Lsn, Position } from './postgres.ts';
import { forksOf, type HistoryRecord, type LeaseRecord, type SyncRecord } from './records.ts';

/** A timeline and where each of its ancestors, oldest first, was left. */
export type Branch = { timeline: number; history: readonly Fork[] };

export type Comparison =
  /** All of the own log is in the other's: it can follow. */
  | { kind: 'contained' }
  /** `fork` ends the common part: what was written behind it on `fork.tli` exists on the own side only. */
  | { kind: 'diverged'; fork: Fork };

type Stretch = { tli: number; end: Lsn | null };

function stretches(branch: Branch): Stretch[] {
  return [...branch.history.map((f) => ({ tli: f.tli, end: f.lsn })), { tli: branch.timeline, end: null }];
}

/** The end of the common part of two branches; null when it is the whole of both (the same timeline). */
export function commonEnd(a: Branch, b: Branch): Fork | null {
  const [left, right] = [stretches(a), stretches(b)];
  // Two servers of one system start on the same first timeline. None in common means that nothing is.
  let end: Fork = { tli: left[0]?.tli ?? 1, lsn: 0n };
  for (let i = 0; ; i++) {
    const [x, y] = [left[i], right[i]];
    if (!x || !y || x.tli !== y.tli) return end;
    if (x.end === null && y.end === null) return null;
    if (x.end === null || (y.end !== null && y.end < x.end)) return { tli: x.tli, lsn: y.end ?? 0n };
    end = { tli: x.tli, lsn: x.end };
    if (y.end === null || x.end < y.end) return end;
  }
}

/**
 * Is all of `own` in the log of a server that stood at `base`? What came later on its branch does not count.
 */
export function isPrefix(own: Branch & { lsn: Lsn }, base: Branch & { lsn: Lsn }): boolean {
  const end = commonEnd(own, base);
  if (end === null) return own.lsn <= base.lsn;
  return own.timeline === end.tli && own.lsn <= end.lsn && own.lsn <= base.lsn;
}

/**
 * May a server at `own` follow one on `leader`, or did it write what the leader never had? Give the
 * *replayed* position for following: what was received of an unfinished record is overwritten, not lost. It
 * must be settled (PROTOCOL D.2), or the answer 'contained' comes too early.
 */
export function compareBranch(own: Branch & { lsn: Lsn }, leader: Branch): Comparison {
  const end = commonEnd(own, leader);
  if (end === null) return { kind: 'contained' };
  // An own timeline past the common part means own writes past it, if only the record that began the
  // timeline.
  if (own.timeline === end.tli && own.lsn <= end.lsn) return { kind: 'contained' };
  return { kind: 'diverged', fork: end };
}

/** The own data against the branch that `sync` names (PROTOCOL E.1). */
export type OwnBranch =
  /** All of it is in the leader's history: it can simply follow. */
  | { kind: 'contained' }
  /** It went on after the leader's branch had left at `fork`: those writes were never on the leader. */
  | { kind: 'diverged'; fork: Fork }
  /**
   * The own timeline is newer than the one `sync` names: a promotion that is not written down there (yet).
   */
  | { kind: 'newer' };

/** null while the own position is not settled: "contained" would come too early then. */
export function branchOf(
  own: Position,
  ownHistory: readonly Fork[] | null,
  sync: SyncRecord,
): OwnBranch | null {
  if (!own.settled) return null;
  // Numbers are reserved under the lease, so a higher one is a later promotion (PROTOCOL E.1).
  if (own.timeline > sync.timeline) return { kind: 'newer' };
  return compareBranch(
    { timeline: own.timeline, history: ownHistory ?? [], lsn: own.replayed },
    { timeline: sync.timeline, history: forksOf(sync.history) },
  );
}

/**
 * prefix: all of it is in the holder's log, so it may follow. foreign: it is not. unknown: not settled, or
 * not told.
 */
export type Towards = 'prefix' | 'foreign' | 'unknown';

/**
 * The own data against the branch of the lease's holder (PROTOCOL D.6): as `sync` has it once the holder has
 * opened, before that as the takeover record tells where the holder stood. A promotion's own timeline is
 * known by the number it reserved.
 */
export function towardsHolder(
  own: Position,
  ownHistory: readonly Fork[] | null,
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

/**
 * What was received of an unfinished record is overwritten, not lost; until replay has come to its end it may
 * be more.
 */
function fits(own: Position, within: (lsn: bigint) => boolean): Towards {
  if (within(own.lsn)) return 'prefix';
  if (!within(own.replayed)) return 'foreign';
  return own.idle === true ? 'prefix' : 'unknown';
}
