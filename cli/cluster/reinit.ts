import { command } from '../common/command.ts';

export default command({
  name: 'reinit',
  description: "discard a standby's database and copy it again from the active",
  examples: ['agent cluster reinit m3'],
  args: { name: { type: 'positional', required: true, description: 'the name of the node, not the active' } },
  async run({ agent, args, print }) {
    await (await agent()).reinit(args.name);
    print(
      { node: args.name },
      () =>
        `${args.name} copies its database again; 'agent cluster nodes list --watch' shows when it is back`,
    );
  },
});
