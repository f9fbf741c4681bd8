import type { ClusterStatus } from '../../agent/api/types.ts';
import { AgentError, EXIT, type ExitCode } from '../../agent/errors.ts';
import type { AgentClient } from '../../agent/http/client_api.ts';
import { command, durationOption } from '../common/command.ts';
import { duration } from '../common/format.ts';
import { stillGoing } from '../common/progress.ts';
import type { Terminal } from '../common/terminal.ts';
import { requireCluster } from './require.ts';

const POLL = 100;
/** Milliseconds. */
const STANDS = 1000;
/**
 * A request that is gone without its target being active has this long to show that it was obeyed.
 * Milliseconds.
 */
const SETTLE = 10_000;
/** The new active writes what the change cost just after it opened. */
const HISTORY_WAIT = 2000;

const refused = (target: string, why: string): AgentError =>
  new AgentError({
    class: 'operator',
    code: 'switchover_refused',
    message: `${target} did not become the active: ${why}`,
    hint: `'agent cluster nodes get ${target}' shows its state`,
  });

const unheard = (message: string): AgentError =>
  new AgentError({
    class: 'operator',
    code: 'consul_silent',
    message: `no switchover was requested: ${message}`,
    hint: "'agent cluster status' shows all that is known",
  });

/** What is known now; undefined while the agent cannot say (Consul elects, or its own agent is stopping). */
async function look(client: AgentClient): Promise<ClusterStatus | undefined> {
  try {
    return await client.cluster();
  } catch (thrown) {
    if (thrown instanceof AgentError && thrown.class === 'transient') return undefined;
    throw thrown;
  }
}

/** What keeps it, in the words of whoever knows; undefined: nobody said. */
function waitsFor(
  cluster: ClusterStatus | undefined,
  target: string,
  asked: { id: string; epoch: number },
): string | undefined {
  if (cluster === undefined) return undefined;
  if (cluster.outage != null) return cluster.outage.message;
  const { request, nodes, epoch } = cluster;
  if (request?.id === asked.id) return request.waiting ?? undefined;
  // The lease has gone over: what is left is the target's to do.
  if (epoch <= asked.epoch) return undefined;
  const row = nodes.find(({ name }) => name === target);
  return row === undefined || row.silent || row.reason === '' ? undefined : `${target}: ${row.reason}`;
}

/**
 * Each reason once, as soon as it stands for a while: those of a quick switchover are no news. Numbers that
 * move are the same reason.
 */
function waitingPrinter(terminal: Terminal) {
  let last = '';
  let since = terminal.now();
  let said = '';
  return (waits: string): void => {
    const reason = waits.replaceAll(/\d+/g, '#');
    if (reason !== last) {
      last = reason;
      since = terminal.now();
    }
    if (reason === '' || reason === said || terminal.now() - since < STANDS) return;
    said = reason;
    terminal.err(`waiting  ${waits}\n`);
  };
}

async function waitUntilActive(
  client: AgentClient,
  target: string,
  asked: { id: string; epoch: number },
  timeout: number,
  terminal: Terminal,
): Promise<ClusterStatus> {
  const deadline = terminal.now() + timeout;
  let gone: number | undefined;
  let waits = '';
  const say = waitingPrinter(terminal);
  while (terminal.now() < deadline) {
    const cluster = await look(client);
    if (cluster?.active === target && cluster.epoch > asked.epoch) return cluster;
    const request = cluster?.request;
    waits = waitsFor(cluster, target, asked) ?? waits;
    say(waits);
    if (request?.id === asked.id) {
      if (request.refused !== null) throw refused(target, request.refused);
      gone = undefined;
    } else if (cluster !== undefined) {
      gone ??= terminal.now();
      if (terminal.now() - gone > SETTLE) throw refused(target, 'the request was dropped');
    }
    await terminal.sleep(POLL);
  }
  throw stillGoing(`the switchover to ${target}`, timeout, waits);
}

/** Milliseconds that clients had to wait; null when it is not written in time. */
async function downtimeOf(client: AgentClient, epoch: number, terminal: Terminal): Promise<number | null> {
  const deadline = terminal.now() + HISTORY_WAIT;
  do {
    const records = await client.history().catch(() => []);
    const found = records.find((record) => record.epoch === epoch)?.downtimeMs;
    if (found !== undefined && found !== null) return found;
    await terminal.sleep(POLL);
  } while (terminal.now() < deadline);
  return null;
}

export default command({
  name: 'set-active',
  description: 'switch over: make another manager the active, without losing a write',
  examples: ['agent cluster set-active m2'],
  args: {
    name: { type: 'positional', required: true, description: 'the node to become the active' },
    timeout: { type: 'string', valueHint: 'SECONDS', default: '60', description: 'how long to wait' },
  },
  async run({ agent, args, print, terminal }): Promise<ExitCode> {
    const target = args.name;
    const timeout = await durationOption('timeout', args.timeout);
    const client = await agent();
    const before = await requireCluster(client);
    if (before.active === target) {
      print({ active: target, epoch: before.epoch, changed: false }, () => `${target} is already the active`);
      return EXIT.done;
    }
    if (before.outage != null) throw unheard(before.outage.message);
    const asked = await client.setActive(target, timeout);
    const { epoch } = await waitUntilActive(client, target, asked, timeout, terminal);
    const downtimeMs = await downtimeOf(client, epoch, terminal);
    print({ active: target, epoch, changed: true, downtimeMs }, () => {
      const cost = downtimeMs === null ? '' : `; clients were shut out for ${duration(downtimeMs)}`;
      return `${target} is the active now (epoch ${epoch})${cost}`;
    });
    return EXIT.done;
  },
});
