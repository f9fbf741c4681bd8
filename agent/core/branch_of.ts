/** Does the own data belong to the branch that `sync` names, or has it left it (PROTOCOL E.1)? Pure. */
import type { Fork, Position } from './postgres.ts';
import { forksOf, type SyncRecord } from './records.ts';

export type Branch =
  /** All of it is in the leader's history: it can simply follow. */
  | { kind: 'contained' }
  /** It went on after the leader's branch had left at `fork`: those writes were never on the leader. */
  | { kind: 'diverged'; fork: Fork }
  /** The own timeline is newer than the one `sync` names: a promotion that is not written down there (yet). */
  | { kind: 'newer' };

export function branchOf(own: Position, ownHistory: Fork[] | null, sync: SyncRecord): Branch {
  if (own.timeline > sync.timeline) return { kind: 'newer' };
  if (own.timeline === sync.timeline) return { kind: 'contained' };
  const leader = forksOf(sync.history);
  const left = leader.find((f) => f.tli === own.timeline);
  if (left !== undefined) return own.lsn <= left.lsn ? { kind: 'contained' } : { kind: 'diverged', fork: left };
  // The own timeline is none of the leader's: the fork is where the newest common one was left first.
  const own2 = ownHistory ?? [];
  for (const mine of [...own2].reverse()) {
    const theirs = leader.find((f) => f.tli === mine.tli);
    if (theirs !== undefined) return { kind: 'diverged', fork: { tli: mine.tli, lsn: mine.lsn < theirs.lsn ? mine.lsn : theirs.lsn } };
  }
  return { kind: 'diverged', fork: { tli: 1, lsn: 0n } };
}
