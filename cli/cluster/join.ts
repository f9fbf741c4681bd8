import { readFileSync } from 'node:fs';
import { usageError } from '../../agent/errors.ts';
import { command, durationOption } from '../common/command.ts';
import { notInForce } from '../common/in_force.ts';
import { waitFor } from '../common/progress.ts';
import { START_ARGS, startOptions } from './start_args.ts';

export default command({
  name: 'join',
  description: 'bring this manager, which must be empty, into a cluster as a standby',
  examples: [
    'ssh m1 agent cluster token create | agent cluster join --token - --cluster-host-ip 10.0.0.12 --cluster-node-name m2 10.0.0.11',
    'AGENT_JOIN_TOKEN=TOKEN agent cluster join 10.0.0.11',
  ],
  args: {
    address: {
      type: 'positional',
      required: true,
      description: 'a manager of the cluster, HOST or HOST:PORT; several may be given',
    },
    token: {
      type: 'string',
      valueHint: 'T',
      description: "'-' reads a join token from standard input; else it is in $AGENT_JOIN_TOKEN",
    },
    ...START_ARGS,
  },
  rest: true,
  async run({ args, given, agent, print, say, terminal }) {
    const timeout = await durationOption('timeout', args.timeout);
    const text = args.token === '-' ? fromInput() : (args.token ?? terminal.env.AGENT_JOIN_TOKEN);
    if (args.token !== undefined && args.token !== '-')
      say(
        "warning: everybody on this machine sees the token in the list of processes; give it with '--token -' or AGENT_JOIN_TOKEN",
      );
    const token = text === undefined || text === '' ? {} : { token: text };
    const options = { ...(await startOptions(given)), ...token, addresses: [...given.positionals] };
    const client = await agent();
    const begun = await client.join(options);
    // An agent that runs with another file has refused by now; what else is of another one is said.
    for (const line of notInForce((await client.status()).configuration)) say(`not in force: ${line}`);
    const done = await waitFor(client, begun, timeout, terminal);
    const { node } = await client.status();
    print({ operation: done, node }, () => `${node} is a standby of the cluster`);
  },
});

function fromInput(): string {
  const text = readFileSync(0, 'utf8').trim();
  if (text === '')
    throw usageError(
      'there is no join token on standard input',
      "'agent cluster token create' on a member makes one",
    );
  return text;
}
