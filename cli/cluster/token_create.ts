import { command, durationOption } from '../common/command.ts';

export default command({
  name: 'create',
  description: 'create a token that lets one manager join, once; it is shown only here',
  examples: [
    'agent cluster token create',
    'agent cluster token create --ttl 10min',
    'ssh m1 agent cluster token create | agent cluster join --token - 10.0.0.11',
  ],
  args: {
    ttl: { type: 'string', valueHint: 'TIME', default: '1h', description: 'how long it is valid' },
  },
  async run({ agent, args, print, say }) {
    const ttl = await durationOption('ttl', args.ttl);
    const made = await (await agent()).createToken(ttl);
    say(`for one manager, until ${made.row.expires}`);
    print(made, () => made.token);
  },
});
