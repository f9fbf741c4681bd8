import { readFileSync } from 'node:fs';
import { command, durationOption } from '../command.ts';
import { notInForce } from '../in_force.ts';
import { waitFor } from '../progress.ts';
import { START_ARGS, startOptions } from './start_args.ts';

export default command({
  name: 'join',
  description: 'bring this manager, which must be empty, into a cluster as a standby',
  examples: [
    'agent cluster join --cluster-host-ip 10.0.0.12 --cluster-node-name m2 --token TOKEN 10.0.0.11',
    'ssh m1 agent cluster token create | agent cluster join --token - 10.0.0.11',
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
      description: "a join token of the cluster; '-' reads it from standard input",
    },
    ...START_ARGS,
  },
  rest: true,
  async run({ args, given, agent, print, say, terminal }) {
    const timeout = await durationOption('timeout', args.timeout);
    // From standard input it is in no list of processes.
    const text = args.token === '-' ? readFileSync(0, 'utf8').trim() : args.token;
    const token = text === undefined ? {} : { token: text };
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
