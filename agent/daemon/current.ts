/**
 * The member that this agent runs, or the refusal of what needs one; and the refusals that its requests
 * share.
 */
import { AgentError, notInCluster, removedFromCluster } from '../errors.ts';
import type { Members } from '../membership/members.ts';
import type { Member } from '../node/member.ts';
import type { Agent } from './agent.ts';

/** Throws operator `not_in_cluster` or `removed_from_cluster`. */
export function memberOf({ member }: Pick<Agent, 'member'>): Member {
  if (member === null) throw notInCluster();
  if (member.last()?.facts.removed) throw removedFromCluster();
  return member;
}

/** The active's side of membership, on a member. */
export function membersOf(agent: Pick<Agent, 'member' | 'members'>): Members {
  memberOf(agent);
  if (agent.members === null) throw unsettled();
  return agent.members;
}

export const unsettled = () =>
  new AgentError({
    class: 'transient',
    code: 'consul_unknown',
    message: 'Consul did not confirm',
    hint: "the request may still take effect: look at 'agent cluster status', then try again",
  });
