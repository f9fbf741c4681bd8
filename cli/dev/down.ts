import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { command } from '../common/command.ts';
import { runningAgent, stopAgent, stopRest } from './agents.ts';
import { DIR_ARG, dirOf } from './args.ts';
import { type DevCluster, openCluster } from './cluster.ts';
import { nodeProcesses } from './processes.ts';
import type { Say } from './up.ts';

/**
 * Ends the agents first, so that none of them answers the end of another, then everything they had started,
 * found by pid. Resolves when nothing is left. The data stays unless `purge`.
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

export default command({
  name: 'down',
  description: 'stop the cluster on this machine with all its processes',
  examples: ['agent dev down', 'agent dev down --purge'],
  args: {
    ...DIR_ARG,
    purge: { type: 'boolean', description: 'remove its folder too' },
  },
  async run({ args, print }) {
    const done: string[] = [];
    const cluster = openCluster(resolve(dirOf(args)));
    await down(cluster, { purge: args.purge === true }, (line) => done.push(line));
    print({ dir: cluster.dir, done }, () => done.join('\n'));
  },
});
