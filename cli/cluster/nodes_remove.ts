import { command, durationOption } from '../common/command.ts';
import { waitFor } from '../common/progress.ts';

/** A removal keeps out who is retired, and no thief: each member has had what makes members. */
const STOLEN =
  "\nif that machine may be in other hands, run 'agent cluster certificates --renew-ca': it holds the authority's key";

export default command({
  name: 'remove',
  description:
    'take a standby, or a manager that is still joining, out for good; it must be emptied before it can join again',
  examples: ['agent cluster nodes remove m3'],
  args: {
    name: { type: 'positional', required: true, description: 'the name of the node' },
    timeout: { type: 'string', valueHint: 'SECONDS', default: '120', description: 'how long to wait' },
  },
  async run({ agent, args, print, terminal }) {
    const timeout = await durationOption('timeout', args.timeout);
    const client = await agent();
    const done = await waitFor(client, await client.remove(args.name), timeout, terminal);
    const { length } = await client.certificates().catch(() => []);
    print(done, () => `${args.name} is removed from the cluster${length === 0 ? '' : STOLEN}`);
  },
});
