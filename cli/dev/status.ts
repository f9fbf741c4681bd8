import { resolve } from 'node:path';
import { alive, readStat } from '../../agent/platform/procfs.ts';
import { command } from '../common/command.ts';
import { table } from '../common/table.ts';
import { answers, postmaster, runningAgent } from './agents.ts';
import { DIR_ARG, dirOf } from './args.ts';
import { agentOn, type DevCluster, openCluster } from './cluster.ts';
import { nodeProcesses } from './processes.ts';

/** What runs of one dev node; pids are null for what does not run. */
export interface DevNodeStatus {
  readonly name: string;
  readonly address: string;
  readonly agent: number | null;
  /** `frozen`: stopped by a signal. `silent`: it runs and nobody answers on its socket. */
  readonly state: 'running' | 'frozen' | 'silent' | 'down';
  readonly postgres: number | null;
  /** All processes of the node. */
  readonly processes: number;
  readonly folder: string;
}

export function nodeStatuses(cluster: DevCluster): Promise<DevNodeStatus[]> {
  return Promise.all(
    cluster.nodes.map(async (node): Promise<DevNodeStatus> => {
      const agent = runningAgent(node);
      const frozen = agent !== undefined && readStat(agent.pid)?.state === 'T';
      const server = postmaster(node);
      const state = !agent ? 'down' : frozen ? 'frozen' : (await answers(node)) ? 'running' : 'silent';
      return {
        name: node.name,
        address: node.address,
        agent: agent?.pid ?? null,
        state,
        postgres: server && alive(server.pid, server.startTime) ? server.pid : null,
        processes: nodeProcesses(node).length,
        folder: node.dir,
      };
    }),
  );
}

/** `agent cluster nodes list` as the first answering node shows it; undefined when none does. */
export async function nodesTable(cluster: DevCluster, json: boolean): Promise<string | undefined> {
  for (const node of cluster.nodes) {
    if (!(await answers(node))) continue;
    const args = ['cluster', 'nodes', 'list', ...(json ? ['--json'] : [])];
    const result = await agentOn(cluster, node, args, { deadline: 10_000 });
    if (result.code === 0) return result.stdout.trimEnd();
  }
  return undefined;
}

const pid = (value: number | null) => (value === null ? '-' : String(value));

const columns = [
  { title: 'name', value: (row: DevNodeStatus) => row.name },
  { title: 'address', value: (row: DevNodeStatus) => row.address },
  { title: 'agent', value: (row: DevNodeStatus) => row.state },
  { title: 'pid', value: (row: DevNodeStatus) => pid(row.agent), align: 'right' as const },
  { title: 'postgres', value: (row: DevNodeStatus) => pid(row.postgres), align: 'right' as const },
  { title: 'processes', value: (row: DevNodeStatus) => String(row.processes), align: 'right' as const },
  { title: 'folder', value: (row: DevNodeStatus) => row.folder },
];

export default command({
  name: 'status',
  description: 'what is running of the cluster on this machine',
  examples: ['agent dev status', 'agent dev status --json'],
  args: DIR_ARG,
  async run({ args, print }) {
    const cluster = openCluster(resolve(dirOf(args)));
    const nodes = await nodeStatuses(cluster);
    const listed = args.json ? undefined : await nodesTable(cluster, false);
    print({ dir: cluster.dir, nodes }, () =>
      [table(columns, nodes), ...(listed === undefined ? [] : [listed])].join('\n'),
    );
  },
});
