import type { ClusterStatus } from '../../agent/api/types.ts';
import { asAgentError } from '../../agent/errors.ts';
import type { AgentClient } from '../../agent/http/client_api.ts';
import { command, type Invocation } from '../common/command.ts';
import type { Terminal } from '../common/terminal.ts';
import { nodesTable } from './nodes_table.ts';
import { outageText } from './outage.ts';
import { requireCluster } from './require.ts';

const INTERVAL = 1000;
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

/** Resolves after `ms`, or at once when interrupted. */
async function nap(terminal: Terminal, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  signal.addEventListener('abort', stop);
  await Promise.race([terminal.sleep(ms), stopped]);
  signal.removeEventListener('abort', stop);
}

const listText = ({ outage, nodes }: ClusterStatus, colored: boolean): string =>
  `${outage == null ? '' : `${outageText(outage)}\n`}${nodesTable(nodes, colored)}`;

/**
 * Draws the table anew each second until interrupted; an agent that is away for a while is said, and waited
 * for.
 */
async function watch(client: AgentClient, terminal: Terminal, json: boolean): Promise<void> {
  const signal = terminal.interrupted();
  if (terminal.tty && !json) terminal.out('\u001b[2J');
  while (!signal.aborted) {
    let text: string;
    try {
      const cluster = await requireCluster(client);
      text = json ? `${JSON.stringify(cluster.nodes)}\n` : listText(cluster, terminal.color);
    } catch (thrown) {
      const error = asAgentError(thrown);
      if (error.class !== 'transient' && error.code !== 'agent_not_running') throw thrown;
      text = json ? `${JSON.stringify(error)}\n` : `${error.message}\n`;
    }
    if (terminal.tty && !json) terminal.out(`${HOME_AND_CLEAR}${text}`);
    else terminal.out(json ? text : `${text}\n`);
    await nap(terminal, INTERVAL, signal);
  }
}

const ARGS = {
  watch: { type: 'boolean', alias: 'w', description: 'show it anew each second, until interrupted' },
} as const;

export default command({
  name: 'list',
  description: 'every manager of the cluster, its role, its checks, and how far it is behind',
  examples: ['agent cluster nodes list', 'agent cluster nodes list --watch'],
  args: ARGS,
  async run({ agent, args, print, terminal }: Invocation<typeof ARGS>) {
    const client = await agent();
    if (args.watch === true) {
      await watch(client, terminal, args.json === true);
      return;
    }
    const cluster = await requireCluster(client);
    print(cluster.nodes, () => listText(cluster, terminal.color));
  },
});
