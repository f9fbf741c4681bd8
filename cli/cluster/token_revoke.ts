import { command } from '../common/command.ts';

export default command({
  name: 'revoke',
  description: 'revoke a join token; a manager that has joined with it stays',
  examples: ['agent cluster token revoke 3f2a91c0'],
  args: { id: { type: 'positional', required: true, description: "its id, as 'token list' shows it" } },
  async run({ agent, args, print }) {
    await (await agent()).revokeToken(args.id);
    print({ id: args.id }, () => `the token ${args.id} is revoked`);
  },
});
