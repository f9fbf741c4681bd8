import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AgentError, usageError } from '../../agent/errors.ts';
import { connectAgent } from '../../agent/http/client_api.ts';
import { until } from '../../agent/platform/clock.ts';
import { command } from '../common/command.ts';
import { startAgent } from './agents.ts';
import { DIR_ARG, dirOf } from './args.ts';
import { agentOn, type DevCluster, type PrepareOptions, prepare } from './cluster.ts';
import { type DevNode, defaultDir } from './layout.ts';

/** A line of what is being done, with the time since the beginning. */
export type Say = (line: string) => void;

/** By its own file: an agent that was just started says so only once its Consul answers. */
const isMember = (node: DevNode): boolean => existsSync(join(node.stateDir, 'membership.json'));

async function run(cluster: DevCluster, node: DevNode, args: readonly string[], say: Say): Promise<void> {
  const result = await agentOn(cluster, node, args, {
    deadline: 180_000,
    onLine: (line) => say(`    ${line.trimEnd()}`),
  });
  if (result.code === 0) return;
  throw new AgentError({
    class: 'operator',
    code: 'dev_up_failed',
    message: `agent ${args.join(' ')} on ${node.name} failed with exit code ${result.code}`,
    hint: `the agent's log is ${node.logDir}/cluster.log`,
  });
}

const WHOLE = 60_000;

const apiOf = (node: DevNode) => connectAgent({ target: { socketPath: node.socket } });

/** What one agent sees; `whole` by the active's own word, since Consul's may be that of an earlier day. */
async function look(nodes: readonly DevNode[]): Promise<{ whole: boolean; seen: string }> {
  const [first] = nodes;
  const rows =
    (first &&
      (await apiOf(first)
        .nodes()
        .catch(() => undefined))) ??
    [];
  const active = nodes.find(({ name }) => rows.some((row) => row.name === name && row.master));
  const said =
    active &&
    (await apiOf(active)
      .status()
      .catch(() => undefined));
  const standbys = rows.filter((row) => !row.master);
  return {
    whole:
      said?.role === 'active' &&
      rows.length >= nodes.length &&
      standbys.every((row) => row.online && row.voter),
    seen: rows.map(({ name, state, reason }) => `${name} ${state}: ${reason}`).join('; '),
  };
}

/** Waits for an active and everybody else as its standby: a cluster started again elects first. */
async function becomeWhole(nodes: readonly DevNode[]): Promise<void> {
  let seen = '';
  const done = await until(
    async () => {
      const now = await look(nodes);
      seen = now.seen;
      return now.whole;
    },
    { timeout: WHOLE, every: 100 },
  );
  if (done) return;
  throw new AgentError({
    class: 'transient',
    code: 'still_going',
    message: `the cluster is not complete after ${WHOLE / 1000} s${seen === '' ? '' : ` (${seen})`}`,
    hint: "see 'agent dev status'",
  });
}

/**
 * Brings the cluster up from whatever state it is in: folders, agents, `cluster start` on the first manager,
 * `cluster join` on the others. Does nothing that is done already.
 */
export async function up(options: PrepareOptions, say: Say): Promise<DevCluster> {
  const cluster = await prepare(options);
  const { nodes, settings, user } = cluster;
  say(
    `${nodes.length === 1 ? 'one manager' : `${nodes.length} managers`} in ${cluster.dir}${user.self ? '' : `, run as user ${user.name}`}`,
  );
  const [first, ...others] = nodes;
  if (!first) throw new Error('a cluster has at least one node');
  await Promise.all(
    nodes.map(async (node) => {
      const pid = await startAgent(node, settings.program, user);
      say(`${node.name}  ${node.address}  agent runs, pid ${pid}`);
    }),
  );
  if (isMember(first)) say(`${first.name}  is in the cluster already`);
  else {
    say(`${first.name}  agent cluster start        (a manager with a database of its own)`);
    await run(cluster, first, ['cluster', 'start'], say);
  }
  for (const node of others) {
    if (isMember(node)) {
      say(`${node.name}  is in the cluster already`);
      continue;
    }
    say(`${node.name}  agent cluster join ${first.address}  (an empty manager)`);
    await run(cluster, node, ['cluster', 'join', first.address], say);
  }
  await becomeWhole(nodes);
  say('the cluster is whole: one active, every other manager confirms its writes');
  return cluster;
}

const MOST_NODES = 7;

function nodeCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MOST_NODES) return count;
  throw usageError(`--nodes=${text} is not a valid number of nodes`, `write 1 to ${MOST_NODES}`);
}

export default command({
  name: 'up',
  description:
    'create a cluster of managers on this machine and start it; what is already done is left as it is',
  examples: ['agent dev up', 'agent dev up --fast --dir /tmp/mine', 'agent dev up --from-source deno'],
  args: {
    ...DIR_ARG,
    nodes: { type: 'string', valueHint: 'N', description: 'how many managers', default: '3' },
    first: {
      type: 'string',
      valueHint: 'IP',
      description: 'address of the first manager; the others follow',
      default: '127.0.0.11',
    },
    fast: { type: 'boolean', description: 'lease preset fast: failover within 4 s instead of 7' },
    'from-source': {
      type: 'enum',
      options: ['bun', 'deno'],
      description: 'run the agents from the source in this folder',
    },
    executable: { type: 'string', valueHint: 'PATH', description: 'run the agents with this executable' },
  },
  async run({ args, print, say }) {
    const dir = resolve(dirOf(args));
    const { nodesTable } = await import('./status.ts');
    const began = performance.now();
    const runtime = args['from-source'];
    const cluster = await up(
      {
        dir,
        nodes: nodeCount(args.nodes),
        first: args.first,
        ...(args.fast ? { preset: 'fast' } : {}),
        ...(runtime === undefined ? {} : { runtime }),
        ...(args.executable === undefined ? {} : { executable: args.executable }),
      },
      (line) => say(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${line}`),
    );
    const table = await nodesTable(cluster, false);
    const socket = cluster.nodes[0]?.socket ?? '';
    const down = `agent dev down${dir === resolve(defaultDir()) ? '' : ` --dir ${dir}`} --purge`;
    const { settings, nodes } = cluster;
    print(
      { dir, nodes: nodes.map(({ name, address, socket }) => ({ name, address, socket })), settings },
      () =>
        [
          '',
          table ?? 'no agent answers',
          '',
          `use it:  agent cluster status --socket ${socket}`,
          `end it:  ${down}`,
        ].join('\n'),
    );
  },
});
