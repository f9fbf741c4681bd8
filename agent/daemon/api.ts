/** The agent behind its HTTP side: reads, and requests filed for the core. Implements AgentApi (agent/api/types.ts). */
import process from 'node:process';
import type { AgentApi } from '../api/types.ts';
import { isPaused } from '../core/facts.ts';
import { want } from '../core/memory/copy.ts';
import { unfitnessSeen } from '../core/target.ts';
import { AgentError } from '../errors.ts';
import { leaseReport } from '../membership/lease_times.ts';
import { holdsLease } from '../security/who.ts';
import { newId } from '../state/identity.ts';
import type { Agent } from './agent.ts';
import { clusterOf, lagsOf } from './cluster_status.ts';
import { consulAnswers } from './outage.ts';
import { securityApi } from './security_api.ts';
import { healthOf, statusOf } from './status.ts';

const REQUEST_LIFE = 60_000;
const ACCEPT = 30_000;

export function createApi(agent: Agent): AgentApi {
  const startedAt = new Date().toISOString();
  const member = () => {
    const { cluster } = agent;
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
  };

  async function changeConfig(change: { paused: boolean; pausedUntil: number | null }): Promise<void> {
    const { memberKv, node } = member();
    const prefix = node.view === null ? null : agent.prefix();
    const held = node.view?.config ?? null;
    if (prefix === null || held === null) throw unsettled();
    // An order that waits in a server without a majority would come true whenever that is back.
    if (!consulAnswers(node)) throw silentConsul();
    const value = { ...held.value, ...change, version: held.value.version + 1 };
    const done = await memberKv.put(`${prefix}config`, JSON.stringify(value), { cas: held.index });
    if (done.kind !== 'ok') throw unsettled();
  }

  return {
    ...securityApi(agent),
    health: () => healthOf(agent.cluster),
    async status() {
      const { cluster, nodeConfig, services } = agent;
      const name = agent.nodeName() ?? '';
      const status = await statusOf(cluster, nodeConfig, services, startedAt, process.pid, name);
      return { ...status, configuration: agent.configuration() };
    },
    cluster: async () => ({ ...(await clusterOf(agent.cluster)), configuration: agent.configuration() }),
    history: async () => member().node.view?.history ?? [],
    start: (options) => agent.start(options),
    join: (options) => agent.join(options),
    operation: (id) => agent.tracker.get(id),

    async setActive(target, timeoutMs, by) {
      const { consul, node } = member();
      const view = node.view;
      if (view === null) throw unsettled();
      const why = unfitnessSeen(view, target);
      if (why !== null)
        throw new AgentError({
          class: 'operator',
          code: 'unfit_target',
          message: `${target} cannot become the active: ${why}`,
          hint: "see 'agent cluster nodes list'",
        });
      if (isPaused(node)) {
        throw new AgentError({
          class: 'operator',
          code: 'cluster_paused',
          message: 'the cluster is paused: no role changes',
          hint: "'agent cluster resume' first",
        });
      }
      const epoch = view.lease?.value.epoch ?? 0;
      const pending = view.request?.value ?? null;
      if (
        pending !== null &&
        pending.refused === null &&
        pending.expires > Date.now() &&
        pending.epoch === epoch
      )
        throw requestPending();
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
    },

    pause: (expiresMs) =>
      changeConfig({ paused: true, pausedUntil: expiresMs === null ? null : Date.now() + expiresMs }),
    resume: () => changeConfig({ paused: false, pausedUntil: null }),

    async remove(name) {
      member();
      const { members } = agent;
      if (members === null) throw unsettled();
      await members.mayRemove(name);
      return agent.tracker.begin('remove', (steps) => members.remove(name, steps));
    },

    lease: () => leaseReport(member().node),
    async setLease(change, by) {
      member();
      if (agent.members === null) throw unsettled();
      return await agent.members.setLease(change, by);
    },

    async updateNode(name, change) {
      const cluster = member();
      if (agent.members === null) throw unsettled();
      await agent.members.update(name, change);
      const { nodes } = await clusterOf(cluster);
      const row = nodes.find((one) => one.name === name);
      if (row === undefined) throw unsettled();
      return row;
    },

    files() {
      member();
      const { files } = agent.parts ?? {};
      if (files === undefined) throw unsettled();
      return { facts: files.facts(), status: files.status() };
    },
    async acceptDeletions() {
      member();
      return (await agent.parts?.files.accept(ACCEPT)) ?? 0;
    },

    async reinit(name) {
      const { node, peers } = member();
      if (node.view?.nodes[name] === undefined)
        throw new AgentError({
          class: 'operator',
          code: 'no_such_node',
          message: `there is no node ${name}`,
        });
      if (node.view.lease?.value.holder === name)
        throw new AgentError({
          class: 'operator',
          code: 'node_is_active',
          message: `${name} is the active: its data is the cluster's`,
        });
      if (name === node.name) return this.wantReclone();
      if (!holdsLease(node.view, node.name))
        throw new AgentError({
          class: 'operator',
          code: 'not_cluster_master',
          message: 'this node is not the active, and only the active has another node copied again',
          hint: `run it on the active (${node.view.active?.value.node ?? 'none now'}), or on ${name} itself`,
        });
      const done = await peers.reclone(name, 2000);
      if (done === null)
        throw new AgentError({
          class: 'transient',
          code: 'node_silent',
          message: `the agent of ${name} does not answer`,
        });
    },

    async wantReclone(caller) {
      const { node } = member();
      if (caller !== undefined && !holdsLease(node.view, caller))
        throw new AgentError({
          class: 'operator',
          code: 'forbidden',
          message: `${caller} does not hold the lease: only the active has a node copied again`,
          hint: "run 'agent cluster reinit' on the active",
        });
      want(node.copy, 'reclone');
      node.wake();
    },

    logs: ({ since, component, limit }) => agent.logs({ since, component, limit }),
    onLog: (callback) => agent.onLog(callback),
    vote: (request) => member().answerVote(request),
    async peerState() {
      const { node } = member();
      const at = await agent.position(500);
      if (at === null) return null;
      const { replayed, timeline } = at;
      return { replayed, timeline, streaming: node.db.facts?.streaming ?? false };
    },
    agreeFailsafe: (request) => member().answerFailsafe(request),
    lags: () => lagsOf(member()),
    async admit(request) {
      member();
      if (agent.members === null) throw unsettled();
      return await agent.members.admit(request);
    },
    async enrol(name, caller) {
      member();
      if (agent.members === null) throw unsettled();
      return await agent.members.enrol(name, caller);
    },
    async keepReserved(name, caller) {
      member();
      if (agent.members === null) throw unsettled();
      await agent.members.keep(name, caller);
    },
  };
}

const unsettled = () =>
  new AgentError({
    class: 'transient',
    code: 'consul_unknown',
    message: 'Consul did not confirm',
    hint: "what was asked for may still come true: look at 'agent cluster status', then try again",
  });

const silentConsul = () =>
  new AgentError({
    class: 'transient',
    code: 'consul_silent',
    message: 'Consul does not answer: nothing was asked of it',
    hint: "'agent cluster status' says what is the case",
  });

const requestPending = () =>
  new AgentError({
    class: 'operator',
    code: 'request_pending',
    message: 'another switchover request is being carried out',
    hint: 'wait for it to end',
  });
