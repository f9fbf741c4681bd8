/** A cluster of the lab's VMs, made as an operator makes one, and asked as an operator asks. */
import process from 'node:process';
import type { ClusterStatus, NodeRow } from '../../agent/api/types.ts';
import { Ledger } from '../ledger/ledger.ts';
import { AGENT, buildAgent, installAgent } from './binary.ts';
import { until } from './host.ts';
import type { Lab } from './lab.ts';
import type { Machine } from './machine.ts';
import { agentYaml, ledgerAddresses, makeManagers } from './manager/manager.ts';

export interface ClusterOptions {
  /** More lines of agent.yaml, the same on every VM. $AGENT_LAB_YAML is added for a run by hand. */
  readonly yaml?: string;
  readonly say?: (line: string) => void;
  /** How many of the VMs enter, from n1 on; default all. The others have the agent installed. */
  readonly members?: number;
  /** By which addresses the managers and the ledger know each other; default 4. */
  readonly version?: 4 | 6;
}

const settledRow = ({ checks, online }: NodeRow): boolean =>
  online && Object.values(checks).every((good) => good);

export class Cluster {
  readonly lab: Lab;
  readonly #say: (line: string) => void;
  readonly #members: Set<string>;

  readonly #version: 4 | 6;

  constructor(lab: Lab, members: readonly string[], say: (line: string) => void, version: 4 | 6 = 4) {
    this.#version = version;
    this.lab = lab;
    this.#members = new Set(members);
    this.#say = say;
  }

  /** Runs a step and says how long it took. */
  async step<T>(title: string, run: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await run();
    this.#say(`${title}: ${((performance.now() - started) / 1000).toFixed(2)} s`);
    return result;
  }

  /** `agent ARGS` on a VM, as root. Throws with its words when it fails. */
  agent(id: string, args: readonly string[], timeout = 60_000): Promise<string> {
    return this.lab.node(id).must([AGENT, ...args], { timeout });
  }

  async json<T>(id: string, args: readonly string[], timeout?: number): Promise<T> {
    return JSON.parse(await this.agent(id, [...args, '--json'], timeout)) as T;
  }

  /**
   * What the VMs that are awake say of the cluster: the newest epoch, as one that is cut off knows only the
   * past.
   */
  async status(): Promise<ClusterStatus | undefined> {
    const asked = [...this.#members].map((id) => this.lab.node(id)).filter(({ awake }) => awake);
    const told = await Promise.all(
      asked.map(async (vm) => {
        const { code, stdout } = await vm.exec([AGENT, 'cluster', 'status', '--json'], { timeout: 5000 });
        // 1: it hears nothing of the others, and says what it knew.
        const said = code === 0 || (code === 1 && stdout.includes('"nodes"'));
        return said ? [JSON.parse(stdout) as ClusterStatus] : [];
      }),
    );
    const newest = (one: ClusterStatus) => (one.error === null ? 1e6 : 0) + (one.epoch ?? 0);
    return told.flat().sort((a, b) => newest(b) - newest(a))[0];
  }

  /** Waits until every member is on, well, and all but the active are voters. Returns the active. */
  async settled(timeout = 60_000): Promise<string> {
    let last: ClusterStatus | undefined;
    try {
      return await until(
        'the cluster is settled',
        timeout,
        async () => {
          last = await this.status();
          const standbys = this.#members.size - 1;
          if (!last?.active || last.nodes.length !== this.#members.size || !last.nodes.every(settledRow))
            return;
          return (last.sync?.voters.length ?? 0) === standbys ? last.active : undefined;
        },
        200,
      );
    } catch (cause) {
      throw new Error(`${String(cause)}: ${JSON.stringify(last)}`);
    }
  }

  async active(): Promise<Machine> {
    const id = (await this.status())?.active;
    if (!id) throw new Error('no active');
    return this.lab.node(id);
  }

  #address(id: string): string {
    const { ip, ip6 } = this.lab.node(id);
    return this.#version === 4 ? ip : ip6;
  }

  start(id = 'n1'): Promise<string> {
    const ip = this.#address(id);
    this.#members.add(id);
    return this.agent(
      id,
      ['cluster', 'start', '--cluster-host-ip', ip, '--cluster-node-name', id, '--timeout', '90'],
      100_000,
    );
  }

  /** Undefined where the agent knows no tokens. */
  async token(from = 'n1'): Promise<string | undefined> {
    const made = await this.lab.node(from).exec([AGENT, 'cluster', 'token', 'create', '--json']);
    if (made.code !== 0) return undefined;
    return (JSON.parse(made.stdout) as { token: string }).token;
  }

  async join(id: string, through = 'n1'): Promise<string> {
    const token = await this.token(through);
    const who = [
      '--cluster-host-ip',
      this.#address(id),
      '--cluster-node-name',
      id,
      ...(token ? ['--token', token] : []),
      '--timeout',
      '120',
    ];
    const said = await this.agent(id, ['cluster', 'join', ...who, this.#address(through)], 130_000);
    this.#members.add(id);
    return said;
  }

  /** Writers to every VM, from outside. Close it. */
  ledger(): Ledger {
    return new Ledger({
      nodes: ledgerAddresses(this.lab, this.#version),
      through: this.lab.asClient([]),
      refusedEvery: 100,
    });
  }

  /**
   * Puts operations into the active's broker, once that is there, and waits until its worker has written them
   * into the database.
   */
  async work(prefix: string, count: number, timeout = 60_000): Promise<void> {
    const publish = ['python3', '/opt/manager/publish.py', prefix, String(count)];
    const sql = `SELECT count(*) FROM operations WHERE id LIKE '${prefix}-%'`;
    let published = '';
    await until(`${count} operations are done on the active`, timeout, async () => {
      const active = await this.active();
      if (published !== active.id) {
        if ((await active.exec(publish)).code !== 0) return false;
        published = active.id;
      }
      const { stdout } = await active.exec(['psql', '-XtA', '-d', 'manager', '-c', sql], {
        user: 'postgres',
      });
      return stdout.trim() === String(count);
    });
  }

  /** The end of every VM's journal and the agent's log, for a test that failed. */
  async lastWords(lines = 30): Promise<string> {
    const parts = await Promise.all(
      this.lab.machines.map(async (vm) => {
        if (!vm.awake) return `${vm.id} is off or frozen`;
        const { stdout } = await vm.exec(
          `journalctl --no-pager -n ${lines} -u cloudify-agent -u 'cloudify-p*' -u cloudify-lease | grep -v -E 'pam_|sudo\\['; systemctl --failed --no-legend`,
        );
        return `${vm.id}:\n${stdout}`;
      }),
    );
    return parts.join('\n');
  }
}

/** Managers, the agent installed on each, n1 started, the others joined one after the other, settled. */
export async function makeCluster(lab: Lab, options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = new Cluster(lab, [], options.say ?? (() => {}), options.version);
  const entering = lab.machines.slice(0, options.members ?? lab.machines.length);
  await cluster.step('managers', () => makeManagers(lab));
  const binary = await cluster.step('build', () => buildAgent(lab));
  await cluster.step('agent install', () =>
    Promise.all(
      lab.machines.map((vm) =>
        installAgent(vm, binary, agentYaml(`${options.yaml ?? ''}${process.env.AGENT_LAB_YAML ?? ''}`)),
      ),
    ),
  );
  try {
    await cluster.step('cluster start on n1', () => cluster.start());
    for (const { id } of entering.slice(1))
      await cluster.step(`cluster join of ${id}`, () => cluster.join(id));
    await cluster.step('settled', () => cluster.settled());
  } catch (cause) {
    throw new Error(`${String(cause)}\n${await cluster.lastWords()}`);
  }
  return cluster;
}
