/**
 * Who may be promoted (PROTOCOL D.3), and who goes first. Pure. The data conditions are absolute; the order
 * among those that meet them only delays.
 */

import { compareBranch } from './branch.ts';
import type { Ballot } from './memory/candidacy.ts';
import type { Vote } from './ports.ts';
import type { Fork, Lsn } from './postgres.ts';
import { forksOf, type NodeRecord, type SyncRecord, votesNeeded } from './records.ts';

/**
 * Timeline numbers are reserved under the epoch of their promotion (PROTOCOL E.1), so the higher one is the
 * later branch.
 */
export function compareBranches(a: Vote, b: Vote): number {
  if (a.timeline !== b.timeline) return a.timeline < b.timeline ? -1 : 1;
  const forkA = lastFork(a.history);
  const forkB = lastFork(b.history);
  if (forkA !== forkB) return forkA < forkB ? -1 : 1;
  if (a.lsn !== b.lsn) return a.lsn < b.lsn ? -1 : 1;
  return 0;
}

function lastFork(history: Fork[]): Lsn {
  return history[history.length - 1]?.lsn ?? 0n;
}

export type BallotVerdict =
  | { kind: 'may'; reason: string }
  /** Data conditions not met: who is missing or ahead. Never to be overridden but by the operator. */
  | { kind: 'must-not'; reason: string; missing: string[] };

/** Do these votes allow the ballot's own node to be promoted? */
export function mayPromote(
  ballot: Ballot,
  sync: SyncRecord | null,
  mode: 'quorum' | 'strict' | 'off',
  maximumLag: number,
): BallotVerdict {
  if (sync === null) return { kind: 'must-not', reason: 'the cluster has no sync record yet', missing: [] };
  const all = [ballot.own, ...Object.values(ballot.votes)];
  // Commits that voters confirmed were acknowledged as such: what the mode is now does not change that.
  if (sync.voters.length > 0) mode = mode === 'off' ? 'quorum' : mode;
  const leader = all.find((v) => v.node === sync.leader && v.timeline >= sync.timeline);
  const listed = all.filter(
    (v) => sync.voters.some((w) => w.node === v.node && w.clone === v.clone) && onBranch(v, sync),
  );
  const ahead = all.find((v) => compareBranches(v, ballot.own) > 0);
  if (ahead !== undefined && !(mode === 'off' && withinLag(ahead, ballot.own, maximumLag))) {
    return { kind: 'must-not', reason: `${ahead.node} is ahead`, missing: [] };
  }
  if (leader !== undefined) return { kind: 'may', reason: `${leader.node}, the last leader, voted` };
  if (mode === 'off')
    return { kind: 'may', reason: 'asynchronous mode: no node that answers is further ahead than allowed' };
  // Every acknowledged write is behind the beginning of that timeline: whoever lacks it lacks them all.
  if (ballot.own.timeline < sync.timeline)
    return {
      kind: 'must-not',
      reason: `this node's data ends before timeline ${sync.timeline}`,
      missing: [],
    };
  const need = votesNeeded(sync);
  if (sync.voters.length > 0 && listed.length >= need) {
    return { kind: 'may', reason: `${listed.length} of ${sync.voters.length} voters voted, ${need} needed` };
  }
  const missing = sync.voters.filter((w) => !listed.some((v) => v.node === w.node)).map((w) => w.node);
  if (!missing.includes(sync.leader)) missing.push(sync.leader);
  return {
    kind: 'must-not',
    reason:
      sync.voters.length === 0
        ? `only ${sync.leader}, the last leader, is known to have every acknowledged write`
        : `${listed.length} of ${need} needed votes: no answer from ${missing.join(', ')}`,
    missing,
  };
}

/**
 * A copy that has not come to the timeline that `sync` names counts as a voter only while all of it is on the
 * branch: it then certainly confirmed nothing since. One with a tail of its own may have seemed to (PROTOCOL
 * D.4).
 */
function onBranch(vote: Vote, sync: SyncRecord): boolean {
  if (vote.timeline >= sync.timeline) return true;
  return (
    compareBranch(vote, { timeline: sync.timeline, history: forksOf(sync.history) }).kind === 'contained'
  );
}

function withinLag(ahead: Vote, own: Vote, lag: number): boolean {
  return ahead.timeline === own.timeline && ahead.lsn - own.lsn <= BigInt(lag);
}

/**
 * How many voters go before this node: higher position, then who lacks less of the files, then priority, then
 * name; nodes that are tagged or unwell go last. Each rank delays a challenge a little, never for ever.
 */
export function rankOf(
  ballot: Ballot,
  nodes: Record<string, NodeRecord>,
  unwell: (node: string) => boolean,
  lacking: (node: string) => number = () => 0,
): number {
  const key = (v: Vote) => {
    const options = nodes[v.node]?.options;
    return {
      last: unwell(v.node) || (options?.nofailover ?? false) || (options?.maintenance ?? false),
      priority: options?.priority ?? 100,
      lacks: lacking(v.node),
    };
  };
  const own = key(ballot.own);
  return Object.values(ballot.votes).filter((v) => {
    const branch = compareBranches(v, ballot.own);
    if (branch < 0) return false;
    if (branch > 0) return true;
    const other = key(v);
    if (other.last !== own.last) return own.last;
    if (other.lacks !== own.lacks) return other.lacks < own.lacks;
    if (other.priority !== own.priority) return other.priority > own.priority;
    return v.node < ballot.own.node;
  }).length;
}
