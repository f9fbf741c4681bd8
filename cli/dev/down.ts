import { rmSync } from 'node:fs';
import { runningAgent, stopAgent, stopRest } from './agents.ts';
import type { DevCluster } from './cluster.ts';
import { nodeProcesses } from './processes.ts';
import type { Say } from './up.ts';

/**
 * Ends the agents first, so that none of them answers the end of another, then everything they had started, found by
 * pid. Resolves when nothing is left. The data stays unless `purge`.
 */
export async function down(cluster: DevCluster, { purge }: { purge: boolean }, say: Say): Promise<void> {
  const { nodes, dir } = cluster;
  const running = nodes.filter((node) => runningAgent(node) !== undefined || nodeProcesses(node).length > 0);
  await Promise.all(nodes.map((node) => stopAgent(node)));
  await Promise.all(nodes.map((node) => stopRest(node)));
  say(
    running.length === 0 ? 'nothing was running' : `stopped: ${running.map(({ name }) => name).join(', ')}`,
  );
  if (!purge) return;
  rmSync(dir, { recursive: true, force: true });
  say(`removed ${dir}`);
}
