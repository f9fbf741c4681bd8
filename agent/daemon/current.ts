/** The member that this agent runs, or the refusal of what needs one; and the refusals that its requests share. */
import { AgentError } from '../errors.ts';
import type { Members } from '../membership/members.ts';
import type { Member } from '../node/member.ts';
import type { Agent } from './agent.ts';

/** Throws operator `not_in_cluster` or `removed_from_cluster`. */
export function memberOf({ cluster }: Pick<Agent, 'cluster'>): Member {
  if (cluster === null)
    throw new AgentError({
      class: 'operator',
      code: 'not_in_cluster',
      message: 'this manager is in no cluster',
      hint: "'agent cluster start' or 'agent cluster join' first",
    });
  if (cluster.last()?.facts.removed)
    throw new AgentError({
      class: 'operator',
      code: 'removed_from_cluster',
      message: 'this node was removed from the cluster',
    });
  return cluster;
}

/** The active's side of membership, on a member. */
export function membersOf(agent: Pick<Agent, 'cluster' | 'members'>): Members {
  memberOf(agent);
  if (agent.members === null) throw unsettled();
  return agent.members;
}

export const unsettled = () =>
  new AgentError({
    class: 'transient',
    code: 'consul_unknown',
    message: 'Consul did not confirm',
    hint: "what was asked for may still come true: look at 'agent cluster status', then try again",
  });
