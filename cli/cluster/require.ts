import type { ClusterStatus } from '../../agent/api/types.ts';
import { notInCluster } from '../../agent/errors.ts';
import type { AgentClient } from '../../agent/http/client_api.ts';

/** The cluster this manager is in. Throws `not_in_cluster` (exit code 3). */
export async function requireCluster(agent: AgentClient): Promise<ClusterStatus> {
  const cluster = await agent.cluster();
  if (cluster.initialized) return cluster;
  throw notInCluster(cluster.error ?? undefined);
}
