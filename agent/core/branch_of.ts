/** Does the own data belong to the branch that `sync` names, or has it left it (PROTOCOL E.1)? Pure. */
import { compareBranch } from './branch.ts';
import type { Fork, Position } from './postgres.ts';
import { forksOf, type SyncRecord } from './records.ts';

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
