import type { NodeChange } from '../../agent/api/types.ts';
import { usageError } from '../../agent/errors.ts';
import { command } from '../common/command.ts';

const YES_NO: Readonly<Record<string, boolean>> = { true: true, yes: true, false: false, no: false };

export default command({
  name: 'update',
  description: 'change how the cluster treats a node; on the active',
  examples: [
    'agent cluster nodes update m3 --priority 50',
    'agent cluster nodes update m3 --nofailover true',
  ],
  args: {
    name: { type: 'positional', required: true, description: 'the name of the node' },
    priority: {
      type: 'string',
      valueHint: 'N',
      description: 'among nodes with the same data the highest becomes active; 0 to 1000',
    },
    nofailover: {
      type: 'string',
      valueHint: 'true|false',
      description: 'true: it becomes the active only when no other node can',
    },
  },
  async run({ agent, args, print }) {
    const changed = await (await agent()).update(args.name, changeOf(args.priority, args.nofailover));
    const { priority, nofailover } = changed.options ?? {};
    print(changed, () => `${args.name}: priority ${priority}, nofailover ${nofailover}`);
  },
});

function changeOf(priority: string | undefined, nofailover: string | undefined): NodeChange {
  const change: NodeChange = {};
  if (priority !== undefined) {
    if (!/^\d{1,4}$/.test(priority))
      throw usageError(
        `--priority=${priority} is not a whole number`,
        'write --priority=0 to --priority=1000',
      );
    change.priority = Number(priority);
  }
  if (nofailover !== undefined) {
    const value = YES_NO[nofailover];
    if (value === undefined)
      throw usageError(`--nofailover=${nofailover} is neither true nor false`, 'write --nofailover=true');
    change.nofailover = value;
  }
  if (Object.keys(change).length === 0)
    throw usageError('nothing to change', 'give --priority or --nofailover');
  return change;
}
