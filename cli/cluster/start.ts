import { command, durationOption } from '../common/command.ts';
import { notInForce } from '../common/in_force.ts';
import { waitFor } from '../common/progress.ts';
import { START_ARGS, startOptions } from './start_args.ts';

export default command({
  name: 'start',
  description: 'create a cluster with this manager as its first active; its data is kept',
  examples: [
    'agent cluster start --cluster-host-ip 10.0.0.11 --cluster-node-name m1',
    "agent cluster start --options 'lease.preset=fast;check_ttl_multiplier=1'",
  ],
  args: START_ARGS,
  async run({ args, given, agent, print, say, terminal }) {
    const timeout = await durationOption('timeout', args.timeout);
    const options = await startOptions(given);
    const client = await agent();
    const begun = await client.start(options);
    // An agent that runs with another file has refused by now; what else is of another one is said.
    for (const line of notInForce((await client.status()).configuration)) say(`not in force: ${line}`);
    const done = await waitFor(client, begun, timeout, terminal);
    const cluster = await client.cluster();
    print({ operation: done, cluster }, () =>
      cluster.active === null
        ? `the cluster ${cluster.id} was created; no manager is active yet`
        : `${cluster.active} is the active of the new cluster ${cluster.id}`,
    );
  },
});
