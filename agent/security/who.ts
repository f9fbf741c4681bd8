/**
 * Who calls, by what the records say of it. A certificate alone says nothing: a removed node's still
 * verifies.
 */
import type { View } from '../core/records.ts';

/**
 * Is this the hash of what that node proves itself with? For enrolled members alone: a reservation replicates
 * and enrols.
 */
export function isEnrolled(view: View | null | undefined, node: string, proof: string): boolean {
  const known = view?.nodes[node]?.proof;
  return known !== undefined && known === proof && !view?.removed.includes(node);
}

/** Does that node hold the lease, as far as this one has seen? Unknown is no. */
export const holdsLease = (view: View | null | undefined, node: string): boolean =>
  view?.lease?.value.holder === node;
