import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { ClusterStatus, Operation } from '../../agent/api/types.ts';
import { type AgentClient, connectAgent } from '../../agent/http/client_api.ts';
import { alive } from '../../agent/platform/procfs.ts';
import { postmaster, runningAgent, startAgent, stopAgent } from '../../cli/dev/agents.ts';
import { type DevCluster, openCluster, type PrepareOptions } from '../../cli/dev/cluster.ts';
import { down } from '../../cli/dev/down.ts';
import { CLIENT, type DevNode, lastLines, PORTS } from '../../cli/dev/layout.ts';
import { killNode, nodeProcesses, signalProcess } from '../../cli/dev/processes.ts';
import { up } from '../../cli/dev/up.ts';
import { superuserSql } from '../fixtures/dev.ts';
import { LEDGER_TABLE, Ledger, type LedgerOptions } from '../ledger/ledger.ts';
import { type Address, connect } from '../ledger/wire.ts';
import { freeAddress } from './addresses.ts';

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/**
 * Asks until it gets something other than undefined or false; rejects after `timeout` ms with what was waited
 * for.
 */
export async function eventually<T>(
  what: string,
  timeout: number,
  ask: () => Promise<T> | T,
  every = 50,
): Promise<Exclude<T, undefined | false | null>> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const value = await ask();
    if (value !== undefined && value !== false && value !== null)
      return value as Exclude<T, undefined | false | null>;
    if (performance.now() > deadline) throw new Error(`not within ${timeout} ms: ${what}`);
    await sleep(every);
  }
}

/**
 * `consul version`: an agent asks its programs now and then what they are. One that is gone is nothing
 * either.
 */
function isQuestion(pid: number): boolean {
  try {
    return /\0(--)?version\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return true;
  }
}

/** A dev cluster under test: its managers, what is done to them, and what they say. */
export class TestCluster {
  readonly cluster: DevCluster;

  constructor(cluster: DevCluster) {
    this.cluster = cluster;
  }

  /** A whole cluster, in a new folder and on free addresses; what it needed is gone again when that fails. */
  static async up(options: Omit<PrepareOptions, 'dir'> & { dir?: string } = {}): Promise<TestCluster> {
    const first = options.first ?? (await freeAddress());
    const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'agent-test-'));
    const lines: string[] = [];
    const asked = options.executable === undefined ? { runtime: 'bun' as const, ...options } : options;
    try {
      const made = new TestCluster(await up({ ...asked, first, dir }, (line) => lines.push(line)));
      await made.settled(60_000);
      await made.clientSql(`${LEDGER_TABLE}; GRANT ALL ON ledger TO ${CLIENT.user}`);
      return made;
    } catch (cause) {
      process.stderr.write(`${lines.join('\n')}\n`);
      await new TestCluster(openCluster(dir)).down();
      throw cause;
    }
  }

  get nodes(): readonly DevNode[] {
    return this.cluster.nodes;
  }

  node(name: string): DevNode {
    const found = this.nodes.find((node) => node.name === name);
    if (!found) throw new Error(`no node ${name}`);
    return found;
  }

  address(name: string): Address {
    return { host: this.node(name).address, port: PORTS.postgres, ...CLIENT };
  }

  /** The agent's API over its socket. */
  api(name: string): AgentClient {
    return connectAgent({ target: { socketPath: this.node(name).socket } });
  }

  /** The cluster as the best informed agent sees it: one that was just thawed still tells of the past. */
  async status(): Promise<ClusterStatus | undefined> {
    const asked = this.nodes
      .filter((node) => runningAgent(node) !== undefined)
      .map((node) => Promise.race([this.#ask(node.name), sleep(500)]));
    const said = (await Promise.all(asked)).filter((one) => one?.initialized && one.error === null);
    return (
      said.reduce((best, one) => (one && one.epoch > (best?.epoch ?? -1) ? one : best), undefined) ??
      undefined
    );
  }

  #ask(name: string): Promise<ClusterStatus | undefined> {
    return this.api(name)
      .cluster()
      .catch(() => undefined);
  }

  /**
   * Waits until `names` (default: all) are online, one of them active, the others streaming and voting.
   * Returns the active.
   */
  async settled(timeout = 60_000, names = this.nodes.map(({ name }) => name)): Promise<string> {
    let last: ClusterStatus | undefined;
    try {
      return await eventually('a settled cluster', timeout, async () => {
        last = await this.status();
        if (!last?.active || !names.includes(last.active)) return undefined;
        const rows = last.nodes.filter(({ name }) => names.includes(name));
        const fine = rows.every(
          (row) => row.online && (row.name === last?.active ? row.state === 'leader' : row.voter),
        );
        if (rows.length !== names.length || !fine) return undefined;
        // Its own word: what Consul says of it may be of before a restart.
        const said = await this.api(last.active)
          .status()
          .catch(() => undefined);
        return said?.role === 'active' && last.active;
      });
    } catch (cause) {
      throw new Error(`${(cause as Error).message}: ${JSON.stringify(last, null, 1)}\n${this.logs()}`);
    }
  }

  /**
   * Waits until every check of `names` passes on the last word of each; false when one does not within
   * `timeout`.
   */
  async healthy(timeout = 20_000, names = this.nodes.map(({ name }) => name)): Promise<boolean> {
    const fine = async () =>
      (await this.status())?.nodes
        .filter(({ name }) => names.includes(name))
        .every(({ checks }) => Object.values(checks).every(Boolean));
    return eventually('all checks pass', timeout, fine, 100).catch(() => false);
  }

  async activeName(): Promise<string> {
    return eventually('an active', 30_000, async () => (await this.status())?.active);
  }

  /** The last lines of every agent's log, for a failure's message. */
  logs(count = 25): string {
    return this.nodes
      .map((node) => `--- ${node.name}\n${lastLines(join(node.logDir, 'cluster.log'), count)}`)
      .join('\n');
  }

  /** Starts a switchover and waits until `target` is the active that clients are sent to. */
  async switchTo(target: string, timeout = 60_000): Promise<void> {
    const id = await this.startSwitch((await this.status())?.active ?? target, target, timeout);
    await eventually(`${target} active`, timeout, async () => {
      const status = await this.status();
      this.expectNotRefused(id, status);
      return status?.active === target;
    });
  }

  /**
   * As soon as `target` is fit: a check of it may fail still, just after its database was started. Returns
   * the request's id.
   */
  async startSwitch(from: string, target: string, timeout = 60_000): Promise<string> {
    const { id } = await eventually(`${target} is fit`, timeout, () =>
      this.api(from)
        .setActive(target, timeout)
        .catch((cause) => {
          if ((cause as { code?: string }).code === 'unfit_target') return undefined;
          throw cause;
        }),
    );
    return id;
  }

  /** Throws, with what the agents logged, when the switchover asked for as `id` was refused. */
  expectNotRefused(id: string, status: ClusterStatus | undefined): void {
    const request = status?.request;
    if (request?.id === id && request.refused)
      throw new Error(`switchover to ${request.target} refused: ${request.refused}\n${this.logs(200)}`);
  }

  async operationDone(name: string, operation: Operation, timeout = 120_000): Promise<Operation> {
    return eventually(`${operation.kind} on ${name}`, timeout, async () => {
      const now = await this.api(name).operation(operation.id);
      return now.state !== 'running' && now;
    });
  }

  startAgent(name: string): Promise<number> {
    return startAgent(this.node(name), this.cluster.settings.program, this.cluster.user);
  }

  /** SIGTERM, as a service manager would; PostgreSQL and Consul go on. */
  stopAgent(name: string): Promise<void> {
    return stopAgent(this.node(name));
  }

  agentPid(name: string): number {
    const agent = runningAgent(this.node(name));
    if (!agent) throw new Error(`no agent runs on ${name}`);
    return agent.pid;
  }

  signalAgent(name: string, signal: NodeJS.Signals): void {
    const agent = runningAgent(this.node(name));
    if (agent) signalProcess(agent, signal);
  }

  postmasterPid(name: string): number {
    const server = postmaster(this.node(name));
    if (!server) throw new Error(`no PostgreSQL runs on ${name}`);
    return server.pid;
  }

  killPostmaster(name: string): void {
    const server = postmaster(this.node(name));
    if (!server || !alive(server.pid, server.startTime)) throw new Error(`no PostgreSQL runs on ${name}`);
    signalProcess(server, 'SIGKILL');
  }

  /** Agent, Consul, PostgreSQL and worker at once, as a power cut. */
  killManager(name: string): Promise<void> {
    return killNode(this.node(name));
  }

  /** Pids of a node's processes whose command is `command`. */
  pids(name: string, command: string): number[] {
    return nodeProcesses(this.node(name))
      .filter((stat) => stat.command === command && !isQuestion(stat.pid))
      .map(({ pid }) => pid);
  }

  /** As superuser, through the node's own socket: no fence is in the way. */
  sql(name: string, text: string): Promise<string> {
    return superuserSql(this.cluster, this.node(name), CLIENT.database, text);
  }

  /** As an ordinary client of the active. */
  async clientSql(text: string, name?: string): Promise<readonly (string | null)[][]> {
    const connection = await connect(this.address(name ?? (await this.activeName())), 2000);
    try {
      const answer = await connection.query(text, 10_000);
      if (answer.kind !== 'done') throw new Error(`${text}: ${JSON.stringify(answer)}`);
      return answer.rows;
    } finally {
      connection.close();
    }
  }

  /** Writers to every node, all the while. */
  ledger(options: Omit<LedgerOptions, 'nodes'> = {}): Ledger {
    const nodes = Object.fromEntries(this.nodes.map(({ name }) => [name, this.address(name)]));
    return new Ledger({ ...options, nodes });
  }

  async down(): Promise<void> {
    const keep = process.env.KEEP_DEV_CLUSTER !== undefined;
    await down(this.cluster, { purge: !keep }, () => {});
  }
}
