/**
 * Quorum coverage (PROTOCOL D.4): have k of these voters flushed what was written up to now, on this
 * timeline?
 */
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import { confirmedBy, type SyncList } from '../postgres.ts';
import { standbyName, type Voter } from '../records.ts';

const STEP = 10;

export function listOf(voters: Voter[], k: number): SyncList {
  return voters.length === 0 ? null : { names: voters.map(standbyName), k };
}

export function sameList(a: SyncList, b: SyncList): boolean {
  if (a === null || b === null) return a === b;
  return a.k === b.k && a.names.length === b.names.length && a.names.every((name) => b.names.includes(name));
}

/**
 * Wait until k of the list have flushed the insert position read *now*, that is after the list became
 * effective. True at once for the empty list. False after `ms`, or when the server does not answer.
 */
export function* covered(n: NodeContext, list: SyncList, ms: number): Procedure<boolean> {
  return list === null || (yield* confirming(n, list, ms)) !== null;
}

/**
 * As `covered`: the names that had it, or null. A position that lies on another branch is none (confirmedBy).
 */
export function* confirming(
  n: NodeContext,
  list: NonNullable<SyncList>,
  ms: number,
): Procedure<string[] | null> {
  const until = n.now() + ms;
  let goal: { insert: bigint; timeline: number } | null = null;
  while (n.now() < until) {
    const seen = yield* call('pg', 'replication', Math.min(1000, ms));
    if (seen !== null) {
      // A changed timeline means that this is not the server the goal was read from.
      if (goal !== null && goal.timeline !== seen.timeline) return null;
      goal ??= { insert: seen.insert, timeline: seen.timeline };
      const at = goal.insert;
      const names = new Set(seen.senders.filter((s) => (confirmedBy(s) ?? -1n) >= at).map((s) => s.name));
      const have = list.names.filter((name) => names.has(name));
      if (have.length >= list.k) return have;
    }
    yield* call('time', 'sleep', STEP);
  }
  return null;
}
