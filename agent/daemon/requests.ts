/**
 * What people ask of the cluster: filed in Consul for the core, or done by the active's side of membership.
 */
import type { AgentApi } from '../api/types.ts';
import { isPaused } from '../core/facts.ts';
import type { View } from '../core/records.ts';
import { unfitnessSeen } from '../core/target.ts';
import { AgentError } from '../errors.ts';
import { leaseReport } from '../membership/lease_times.ts';
import { newId } from '../state/identity.ts';
import type { Agent } from './agent.ts';
import { clusterStatusOf } from './cluster_status.ts';
import { memberOf, membersOf, unsettled } from './current.ts';
import { consulAnswers } from './outage.ts';

/** A request that nobody took up by then is void, ms. */
const REQUEST_LIFE = 60_000;

type Requests = Pick<
  AgentApi,
  'setActive' | 'pause' | 'resume' | 'remove' | 'lease' | 'setLease' | 'updateNode'
>;

export const requestsApi = (agent: Agent): Requests => ({
  setActive: (target, timeoutMs, by) => setActive(agent, target, timeoutMs, by),
  pause: (expiresMs) =>
    changeConfig(agent, { paused: true, pausedUntil: expiresMs === null ? null : Date.now() + expiresMs }),
  resume: () => changeConfig(agent, { paused: false, pausedUntil: null }),
  async remove(name) {
    const members = membersOf(agent);
    await members.mayRemove(name);
    return agent.tracker.begin('remove', (steps) => members.remove(name, steps));
  },
  lease: () => leaseReport(memberOf(agent).node),
  setLease: async (change, by) => await membersOf(agent).setLease(change, by),
  async updateNode(name, change) {
    const member = memberOf(agent);
    await membersOf(agent).update(name, change);
    const { nodes } = await clusterStatusOf(member);
    const row = nodes.find((one) => one.name === name);
    if (row === undefined) throw unsettled();
    return row;
  },
});

async function setActive(
  agent: Agent,
  target: string,
  timeoutMs: number,
  by: string,
): Promise<{ id: string; epoch: number }> {
  const { consul, node } = memberOf(agent);
  const view = node.view;
  if (view === null) throw unsettled();
  refuseTarget(view, target);
  if (isPaused(node)) {
    throw new AgentError({
      class: 'operator',
      code: 'cluster_paused',
      message: 'the cluster is paused: no role changes',
      hint: "'agent cluster resume' first",
    });
  }
  const epoch = view.lease?.value.epoch ?? 0;
  if (isPending(view, epoch)) throw requestPending();
  const request = {
    schema: 1,
    id: newId(),
    kind: 'switchover',
    target,
    epoch,
    expires: Date.now() + Math.min(timeoutMs, REQUEST_LIFE),
    by: `${by === 'socket' ? 'a local user' : by} on ${node.name}`,
    refused: null,
  };
  const done = await consul.kv.put(`${agent.prefix()}request`, JSON.stringify(request), {
    cas: view.request?.index ?? 0,
  });
  if (done.kind === 'conflict') throw requestPending();
  if (done.kind !== 'ok') throw unsettled();
  return { id: request.id, epoch };
}

function refuseTarget(view: View, target: string): void {
  const why = unfitnessSeen(view, target);
  if (why === null) return;
  throw new AgentError({
    class: 'operator',
    code: 'unfit_target',
    message: `${target} cannot become the active: ${why}`,
    hint: "see 'agent cluster nodes list'",
  });
}

function isPending(view: View, epoch: number): boolean {
  const pending = view.request?.value ?? null;
  return (
    pending !== null && pending.refused === null && pending.expires > Date.now() && pending.epoch === epoch
  );
}

async function changeConfig(
  agent: Agent,
  change: { paused: boolean; pausedUntil: number | null },
): Promise<void> {
  const { memberKv, node } = memberOf(agent);
  const held = node.view?.config ?? null;
  if (held === null) throw unsettled();
  // An order that waits in a server without a majority would come true whenever that is back.
  if (!consulAnswers(node)) throw silentConsul();
  const value = { ...held.value, ...change, version: held.value.version + 1 };
  const done = await memberKv.put(`${agent.prefix()}config`, JSON.stringify(value), { cas: held.index });
  if (done.kind !== 'ok') throw unsettled();
}

const silentConsul = () =>
  new AgentError({
    class: 'transient',
    code: 'consul_silent',
    message: 'Consul does not answer: the request was not made',
    hint: "'agent cluster status' shows the current state",
  });

const requestPending = () =>
  new AgentError({
    class: 'operator',
    code: 'request_pending',
    message: 'another switchover request is being carried out',
    hint: 'wait for it to end',
  });
