/**
 * The agent behind its HTTP side: reads, and requests filed for the core. Implements AgentApi
 * (agent/api/types.ts).
 */
import process from 'node:process';
import type { AgentApi } from '../api/types.ts';
import type { Agent } from './agent.ts';
import { clusterStatusOf, lagsOf } from './cluster_status.ts';
import { memberOf, unsettled } from './current.ts';
import { peerApi } from './peer_api.ts';
import { requestsApi } from './requests.ts';
import { securityApi } from './security_api.ts';
import { healthOf, statusOf } from './status.ts';

/** Deletions that were accepted are looked for this long, ms. */
const ACCEPT = 30_000;

export function createApi(agent: Agent): AgentApi {
  const startedAt = new Date().toISOString();
  return {
    ...securityApi(agent),
    ...requestsApi(agent),
    ...peerApi(agent),
    health: () => healthOf(agent.member),
    async status() {
      const { member, nodeConfig, services } = agent;
      const name = agent.nodeName() ?? '';
      const status = await statusOf(member, nodeConfig, services, startedAt, process.pid, name);
      return { ...status, configuration: agent.configuration() };
    },
    cluster: async () => ({
      ...(await clusterStatusOf(agent.member)),
      configuration: agent.configuration(),
    }),
    history: async () => memberOf(agent).node.view?.history ?? [],
    start: (options) => agent.start(options),
    join: (options) => agent.join(options),
    operation: (id) => agent.tracker.get(id),
    lags: () => lagsOf(memberOf(agent)),
    files() {
      memberOf(agent);
      const { files } = agent.parts ?? {};
      if (files === undefined) throw unsettled();
      return { facts: files.facts(), status: files.status() };
    },
    async acceptDeletions() {
      memberOf(agent);
      return (await agent.parts?.files.accept(ACCEPT)) ?? 0;
    },
    logs: ({ since, component, limit }) => agent.logs({ since, component, limit }),
    onLog: (callback) => agent.onLog(callback),
  };
}
