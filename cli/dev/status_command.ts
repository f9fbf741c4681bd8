import { resolve } from 'node:path';
import { command } from '../common/command.ts';
import { table } from '../common/table.ts';
import { DIR_ARG, dirOf } from './args.ts';
import { openCluster } from './cluster.ts';
import { type DevNodeStatus, nodeStatuses, nodesTable } from './status.ts';

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
