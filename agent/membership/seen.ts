/** What is seen of a node on its way in, by its own core. Pure. */
import type { Member } from '../node/member.ts';

const reasonOf = (member: Member | null): string => member?.last()?.decision.reason ?? 'starting';

export const followingOf = (member: Member | null): { streaming: boolean; reason: string } => ({
  streaming: member?.node.db.facts?.streaming ?? false,
  reason: reasonOf(member),
});

/** Is this node open as the active? Says why not otherwise. `failingFor`: ms, without a try that worked. */
export function openedOf(
  member: Member | null,
  name: string,
): { open: boolean; reason: string; failingFor: number } {
  const node = member?.node;
  return {
    open: node?.fence.state === 'open' && node.view?.active?.value.node === name,
    reason: reasonOf(member),
    failingFor: node == null || node.failures.last === null ? 0 : node.now() - node.failures.last.since,
  };
}
