/** N managers, their network and their Consul, on one virtual clock, from one seed. */
import type { Policy } from '../../agent/core/policy.ts';
import type { Matter } from '../../agent/roles/postgres/claims.ts';
import type { Tap } from './agent.ts';
import { BadRecords } from './bad_records.ts';
import { type Branch, Forest } from './branch.ts';
import { startClients } from './clients.ts';
import { Connector } from './connector.ts';
import { ConsulStore } from './consul.ts';
import type { FenceMode } from './fence.ts';
import { startFiles } from './files.ts';
import { Checker } from './invariants.ts';
import type { Wire } from './link.ts';
import { Machine } from './machine.ts';
import { Network } from './network.ts';
import { Raft } from './raft.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { Server, type ServerEvents } from './server.ts';
import { type Core, SimNode } from './sim_node.ts';

export type WorldOptions = {
  seed: number;
  nodes: number;
  policy: Policy;
  core: Core;
  fence: FenceMode;
  drift: number;
  taps?: Tap[];
  /** Are files replicated? Left out, the seed says. */
  files?: boolean;
  /** Changes of this matter are written whatever was asked for since, and however late: a broken driver. */
  unclaimed?: Matter;
  /** Told of everything worth reading, in order. */
  trace?: (line: string) => void;
};

export type Stats = {
  acknowledged: number;
  acknowledgedAlone: number;
  promotions: number;
  roleChanges: number;
  takeovers: number;
  handovers: number;
  excusedTwoOpen: number;
  /** Answers that members were asked for while Consul was silent. */
  failsafeAsked: number;
  excusedClosed: number;
  excusedStrict: number;
  degradedMs: number;
  closedMs: number;
  faults: number;
};

export class World {
  readonly scheduler = new Scheduler();
  /** What happens (faults, clients) and how long things take are drawn from two streams. */
  readonly random: Random;
  readonly latency: Random;
  /** A stream of their own for the files: they change nothing else. */
  readonly files: Random;
  readonly withFiles: boolean;
  readonly network: Network;
  readonly raft: Raft;
  readonly store = new ConsulStore();
  readonly badRecords = new BadRecords();
  readonly forest = new Forest();
  readonly wire: Wire;
  readonly connector: Connector;
  readonly nodes: SimNode[] = [];
  readonly checker: Checker;
  readonly options: WorldOptions;
  readonly taps: Tap[];
  readonly watchers = new Set<{ node: number; changed(): void; unserved(): unknown }>();
  readonly stats: Stats;
  readonly root: Branch;
  /** While faults are being made, long tasks may fail as well. */
  flaky = false;
  /** A node whose transactions write much without committing. */
  longTail: string | null = null;
  lossless: boolean;
  lastAck = Number.NEGATIVE_INFINITY;
  onVoteAsked: ((node: SimNode) => void) | null = null;
  private clones = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new Random(options.seed, 1);
    this.latency = new Random(options.seed, 2);
    this.files = new Random(options.seed, 3);
    const drawn = this.files.chance(0.5);
    this.withFiles = options.files ?? drawn;
    this.network = new Network(options.nodes, this.latency);
    this.raft = new Raft(options.nodes, this.network, this.scheduler, this.latency);
    this.lossless = options.policy.synchronousMode !== 'off';
    this.taps = options.taps ?? [];
    this.stats = {
      acknowledged: 0,
      acknowledgedAlone: 0,
      promotions: 0,
      roleChanges: 0,
      takeovers: 0,
      handovers: 0,
      excusedTwoOpen: 0,
      failsafeAsked: 0,
      excusedClosed: 0,
      excusedStrict: 0,
      degradedMs: 0,
      closedMs: 0,
      faults: 0,
    };
    this.wire = {
      scheduler: this.scheduler,
      network: this.network,
      timeout: this.random.pick([5000, 10_000, 60_000]),
      lag: new Array<number>(options.nodes).fill(0),
    };
    this.connector = new Connector(this.wire, () => this.nodes.map((n) => n.server));
    this.checker = new Checker(this);
    this.root = this.forest.root('m1');
    for (let i = 0; i < options.nodes; i += 1) this.addNode(i);
    this.store.onCommit(() => {
      for (const watcher of [...this.watchers]) watcher.changed();
    });
    this.raft.onChange(() => {
      for (const watcher of [...this.watchers]) if (!this.raft.serves(watcher.node)) watcher.unserved();
    });
  }

  private addNode(index: number): void {
    const machine = new Machine(`m${index + 1}`, index, this.scheduler, this.random, this.options.drift);
    const server = new Server(machine, this.forest, this.latency, this.serverEvents(), this.root, 'system-1');
    this.nodes.push(
      new SimNode(
        this,
        machine,
        server,
        this.options.policy,
        this.options.fence,
        this.newClone(),
        this.options.core,
      ),
    );
  }

  private serverEvents(): ServerEvents {
    const of = (server: Server) => this.nodes[server.machine.index] as SimNode;
    return {
      down: (server) => this.database(of(server), false),
      ready: (server) => {
        this.connector.ready(server);
        this.database(of(server), true);
      },
      acknowledged: (server, lsn) => this.checker.acknowledged(server, lsn),
      open: (server) => of(server).fence.isOpen(),
      foreign: (server, upstream) => this.checker.foreign(server, upstream),
      note: (server, text) => this.note(server.name, text),
    };
  }

  start(): void {
    startClients(this);
    if (this.withFiles) startFiles(this);
    for (const node of this.nodes) {
      this.scheduler.after(this.random.range(0, 500), () => node.startAgent(this.taps));
    }
  }

  run(until: number): void {
    this.scheduler.runUntil(until, () => this.checker.violations.length > 0);
  }

  node(name: string): SimNode | undefined {
    return this.nodes.find((n) => n.name === name);
  }

  newClone(): string {
    this.clones += 1;
    return `c${this.clones}`;
  }

  /**
   * The database began or ceased to answer: the agent notices its closed connection, the checks a little
   * later.
   */
  private database(node: SimNode, up: boolean): void {
    const accepting = up && node.server.proc?.accepting === true && node.server.hung === 'no';
    if (accepting) node.sickSince = null;
    else if (node.sickSince === null) node.sickSince = this.scheduler.now;
    node.machine.later(this.latency.range(1, 20), () => node.agent?.wake());
  }

  /** A postmaster that was stopped, or storage that hangs, or goes on. */
  setHung(node: SimNode, hung: Server['hung']): void {
    node.server.hung = hung;
    node.disturbed();
    if (hung === 'no' && node.server.proc?.doomed) node.server.die('killed');
    else if (hung === 'no') {
      this.connector.thawed(node.server);
      this.database(node, true);
    } else {
      if (node.sickSince === null) node.sickSince = this.scheduler.now;
      node.machine.later(3100, () => node.agent?.wake());
    }
  }

  opened(node: SimNode, asked: number): void {
    const proc = node.server.proc;
    if (proc !== null && proc.heldBack > 0) {
      this.checker.acknowledged(node.server, proc.heldBack);
      proc.heldBack = 0;
    }
    this.checker.opened(node, asked);
    this.note(node.name, 'OPEN');
  }

  voteAsked(node: SimNode): void {
    this.onVoteAsked?.(node);
  }

  decided(node: SimNode, rule: number): void {
    if (this.options.trace !== undefined && node.agent?.context?.main.rule !== rule)
      this.note(node.name, `rule ${rule}`);
  }

  threw(node: SimNode, process: string, error: unknown): void {
    this.checker.fail(
      'the core threw',
      `${node.name} ${process}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  }

  note(who: string, text: string): void {
    this.options.trace?.(`${(this.scheduler.now / 1000).toFixed(3).padStart(9)} ${who.padEnd(3)} ${text}`);
  }
}
