import { usageError } from '../../agent/errors.ts';
import { command } from '../common/command.ts';

export default command({
  name: 'maintenance',
  description: 'leave a node alone while it is being worked on; it does not become the active meanwhile',
  examples: ['agent cluster maintenance m3 on', 'agent cluster maintenance m3 off'],
  args: {
    name: { type: 'positional', required: true, description: 'the name of the node' },
    state: { type: 'positional', required: true, description: 'on or off' },
  },
  async run({ agent, args, print }) {
    if (args.state !== 'on' && args.state !== 'off')
      throw usageError(
        `'${args.state}' is neither on nor off`,
        `write: agent cluster maintenance ${args.name} on`,
      );
    const maintenance = args.state === 'on';
    const changed = await (await agent()).update(args.name, { maintenance });
    print(changed, () => `${args.name} is ${maintenance ? 'in maintenance' : 'out of maintenance'}`);
  },
});
