/** What other agents ask of this one: votes, its position, a place in the cluster, a copy. */
import type { AgentApi } from '../api/types.ts';
import { want } from '../core/memory/copy.ts';
import { AgentError, noSuchNode } from '../errors.ts';
import { holdsLease } from '../security/who.ts';
import type { Agent } from './agent.ts';
import { memberOf, membersOf } from './current.ts';

type PeerApi = Pick<
  AgentApi,
  'vote' | 'peerState' | 'agreeFailsafe' | 'admit' | 'enrol' | 'keepReserved' | 'reinit' | 'wantReclone'
>;

export const peerApi = (agent: Agent): PeerApi => ({
  vote: (request) => memberOf(agent).answerVote(request),
  agreeFailsafe: (request) => memberOf(agent).answerFailsafe(request),
  async peerState() {
    const member = memberOf(agent);
    const at = await agent.position(500);
    if (at === null) return null;
    return {
      replayed: at.replayed,
      timeline: at.timeline,
      streaming: member.node.db.facts?.streaming ?? false,
    };
  },
  admit: async (request) => await membersOf(agent).admit(request),
  enrol: async (name, caller) => await membersOf(agent).enrol(name, caller),
  keepReserved: async (name, caller) => await membersOf(agent).keep(name, caller),
  reinit: (name) => reinit(agent, name),
  wantReclone: async (caller) => wantReclone(agent, caller),
});

/** Has a node's data copied again: this one's own, or by the active another's. */
async function reinit(agent: Agent, name: string): Promise<void> {
  const { node, peers } = memberOf(agent);
  if (node.view?.nodes[name] === undefined) throw noSuchNode(name, Object.keys(node.view?.nodes ?? {}));
  if (node.view.lease?.value.holder === name)
    throw new AgentError({
      class: 'operator',
      code: 'node_is_active',
      message: `${name} is the active: its data is the cluster's`,
    });
  if (name === node.name) return wantReclone(agent);
  if (!holdsLease(node.view, node.name))
    throw new AgentError({
      class: 'operator',
      code: 'not_cluster_master',
      message: 'this node is not the active, and only the active has another node copied again',
      hint: `run it on the active (${node.view.active?.value.node ?? 'there is none now'}), or on ${name} itself`,
    });
  const done = await peers.reclone(name, 2000);
  if (done === null)
    throw new AgentError({
      class: 'transient',
      code: 'node_silent',
      message: `the agent of ${name} does not answer`,
    });
}

/** `caller`: the member that asks; left out when somebody on this machine does. */
function wantReclone(agent: Agent, caller?: string): void {
  const { node } = memberOf(agent);
  if (caller !== undefined && !holdsLease(node.view, caller))
    throw new AgentError({
      class: 'operator',
      code: 'forbidden',
      message: `${caller} does not hold the lease: only the active has a node copied again`,
      hint: "run 'agent cluster reinit' on the active",
    });
  want(node.copy, 'reclone');
  node.wake();
}
