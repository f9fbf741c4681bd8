import { resolve } from 'node:path';
import { command } from '../common/command.ts';
import { DIR_ARG, dirOf } from './args.ts';
import { openCluster } from './cluster.ts';
import { down } from './down.ts';

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
