import { command, durationOption } from '../command.ts';
import { waitFor } from '../progress.ts';

export default command({
  name: 'remove',
  description:
    'take a standby, or a manager that is still joining, out for good; it must be emptied before it may join again',
  examples: ['agent cluster nodes remove m3'],
  args: {
    name: { type: 'positional', required: true, description: 'the name of the node' },
    timeout: { type: 'string', valueHint: 'SECONDS', default: '120', description: 'how long to wait' },
  },
  async run({ agent, args, print, terminal }) {
    const timeout = await durationOption('timeout', args.timeout);
    const client = await agent();
    const done = await waitFor(client, await client.remove(args.name), timeout, terminal);
    print(done, () => `${args.name} is removed from the cluster`);
  },
});
