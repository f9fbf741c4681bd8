import { resolve } from 'node:path';
import { usageError } from '../../agent/errors.ts';
import { command } from '../common/command.ts';
import { DIR_ARG, dirOf } from './args.ts';
import { defaultDir } from './layout.ts';

const MOST_NODES = 7;

function nodeCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MOST_NODES) return count;
  throw usageError(`--nodes=${text} is not a valid number of nodes`, `write 1 to ${MOST_NODES}`);
}

export default command({
  name: 'up',
  description:
    'create a cluster of managers on this machine and start it; what is already done is left as it is',
  examples: ['agent dev up', 'agent dev up --fast --dir /tmp/mine', 'agent dev up --from-source deno'],
  args: {
    ...DIR_ARG,
    nodes: { type: 'string', valueHint: 'N', description: 'how many managers', default: '3' },
    first: {
      type: 'string',
      valueHint: 'IP',
      description: 'address of the first manager; the others follow',
      default: '127.0.0.11',
    },
    fast: { type: 'boolean', description: 'lease preset fast: failover within 4 s instead of 7' },
    'from-source': {
      type: 'enum',
      options: ['bun', 'deno'],
      description: 'run the agents from the source in this folder',
    },
    executable: { type: 'string', valueHint: 'PATH', description: 'run the agents with this executable' },
  },
  async run({ args, print, say }) {
    const dir = resolve(dirOf(args));
    const [{ up }, { nodesTable }] = await Promise.all([import('./up.ts'), import('./status.ts')]);
    const began = performance.now();
    const runtime = args['from-source'];
    const cluster = await up(
      {
        dir,
        nodes: nodeCount(args.nodes),
        first: args.first,
        ...(args.fast ? { preset: 'fast' } : {}),
        ...(runtime === undefined ? {} : { runtime }),
        ...(args.executable === undefined ? {} : { executable: args.executable }),
      },
      (line) => say(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${line}`),
    );
    const table = await nodesTable(cluster, false);
    const socket = cluster.nodes[0]?.socket ?? '';
    const down = `agent dev down${dir === resolve(defaultDir()) ? '' : ` --dir ${dir}`} --purge`;
    const { settings, nodes } = cluster;
    print(
      { dir, nodes: nodes.map(({ name, address, socket }) => ({ name, address, socket })), settings },
      () =>
        [
          '',
          table ?? 'no agent answers',
          '',
          `use it:  agent cluster status --socket ${socket}`,
          `end it:  ${down}`,
        ].join('\n'),
    );
  },
});
