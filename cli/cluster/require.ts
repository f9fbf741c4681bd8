import type { ClusterStatus } from '../../agent/api/types.ts';
import { AgentError } from '../../agent/errors.ts';
import type { AgentClient } from '../../agent/http/client_api.ts';

/** The cluster this manager is in. Throws `not_in_cluster` (exit code 3). */
export async function requireCluster(agent: AgentClient): Promise<ClusterStatus> {
  const cluster = await agent.cluster();
  if (cluster.initialized) return cluster;
  throw new AgentError({
    class: 'operator',
    code: 'not_in_cluster',
    message: cluster.error ?? 'this manager is not in a cluster',
    hint: "make one with 'agent cluster start', or enter one with 'agent cluster join ADDRESS'",
  });
}
