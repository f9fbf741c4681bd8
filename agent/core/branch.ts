/**
 * Branches of the write-ahead log. A branch is a timeline with the history that leads to it; two nodes may give
 * the same number to different timelines (PROTOCOL E.1), so whole histories are compared. Pure.
 */
import type { Fork, Lsn } from './postgres.ts';

/** A timeline and where each of its ancestors, oldest first, was left. */
export type Branch = { timeline: number; history: Fork[] };

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

/** Is all of `own` in the log of a server that stood at `base`? What came later on its branch does not count. */
export function isPrefix(own: Branch & { lsn: Lsn }, base: Branch & { lsn: Lsn }): boolean {
  const end = commonEnd(own, base);
  if (end === null) return own.lsn <= base.lsn;
  return own.timeline === end.tli && own.lsn <= end.lsn && own.lsn <= base.lsn;
}

/**
 * May a server at `own` follow one on `leader`, or did it write what the leader never had? Give the *replayed*
 * position for following: what was received of an unfinished record is overwritten, not lost. It must be
 * settled (PROTOCOL D.2), or the answer 'contained' comes too early.
 */
export function compareBranch(own: Branch & { lsn: Lsn }, leader: Branch): Comparison {
  const end = commonEnd(own, leader);
  if (end === null) return { kind: 'contained' };
  // An own timeline past the common part means own writes past it, if only the record that began the timeline.
  if (own.timeline === end.tli && own.lsn <= end.lsn) return { kind: 'contained' };
  return { kind: 'diverged', fork: end };
}
