/**
 * One manager: its machine, its database, its fence, its services, what its agent keeps on disk, and the
 * agent itself.
 */

import type { Durable } from '../../agent/core/durable.ts';
import { createContext, type NodeContext } from '../../agent/core/node.ts';
import type { Policy } from '../../agent/core/policy.ts';
import type { FailsafeRequest, Procedure, VoteReply, VoteRequest } from '../../agent/core/ports.ts';
import { Agent, type PortTable, type Tap } from './agent.ts';
import { consulPort, NO_TROUBLE, statePort, type Trouble } from './consul_port.ts';
import { Fence, type FenceMode, fencePort } from './fence.ts';
import { Files, filesPort } from './files.ts';
import { LateCalls } from './late_calls.ts';
import { hooksPort, peersPort, servicesPort, storePort } from './local_ports.ts';
import type { Machine } from './machine.ts';
import { pgPort } from './pg_port.ts';
import type { Server } from './server.ts';
import type { World } from './world.ts';

/** What is run on each agent: the real core, or a toy in the model's own tests. */
export type Core = (
  context: NodeContext,
  hooks: {
    newClone(): string;
    spawn(procedure: Procedure<unknown>): void;
    decided(rule: number): void;
  },
) => {
  processes: Record<string, () => Generator<never, void, never>>;
  answerVote(request: VoteRequest): Generator<never, VoteReply, never>;
  answerFailsafe?(request: FailsafeRequest): boolean;
};

const HEALTHY = { failing: [], weak: [], all: {} };

export class SimNode {
  readonly machine: Machine;
  readonly server: Server;
  readonly fence: Fence;
  readonly files: Files;
  /** What its file says: an agent that is started goes by it. */
  policy: Policy;
  readonly late: LateCalls;
  readonly services = { running: false, broken: false, since: 0 };
  durable: Durable;
  trouble: Trouble = NO_TROUBLE;
  agent: Agent | null = null;
  instance = '';
  /** The agent comes back by itself (its supervisor); not while a fault keeps it down. */
  heldDown = false;
  /**
   * Frozen, paused, hung or without an agent while it was open: what it then leaves open is not the core's
   * doing.
   */
  loose = false;
  /** True time of the last freeze, pause or kill. */
  disturbedAt = Number.NEGATIVE_INFINITY;
  /** When its clock last stood still without its knowing. */
  blindAt = Number.NEGATIVE_INFINITY;
  /** Since when its database has not answered; null while it does. */
  sickSince: number | null = null;
  votesAsked = 0;
  private core: Core;
  private world: World;
  private ports: PortTable;
  private failsafe: ((request: FailsafeRequest) => boolean) | null = null;
  private vote: ((request: VoteRequest) => Generator<never, VoteReply, never>) | null = null;

  constructor(
    world: World,
    machine: Machine,
    server: Server,
    policy: Policy,
    mode: FenceMode,
    clone: string,
    core: Core,
  ) {
    this.world = world;
    this.machine = machine;
    this.server = server;
    this.policy = policy;
    this.core = core;
    this.fence = new Fence(mode, () => machine.now());
    this.files = new Files(world.withFiles);
    this.late = new LateCalls(machine, world.options.unclaimed);
    this.durable = { clone, clusterId: null, incarnation: 0, vote: null, rebuilding: null };
    server.identity = `${machine.name}_${clone}`;
    this.ports = {
      consul: consulPort(world, this),
      pg: pgPort(world, this),
      fence: fencePort(world, this),
      services: servicesPort(world, this),
      files: filesPort(world, this),
      hooks: hooksPort(world),
      peers: peersPort(world, this),
      store: storePort(world, this),
      state: statePort(world, this),
    };
    this.newInstance();
  }

  get name(): string {
    return this.machine.name;
  }

  newInstance(): void {
    this.instance = `${this.name}-boot${this.machine.boot}`;
  }

  startAgent(taps: Tap[]): void {
    if (this.agent !== null || !this.machine.on || this.heldDown) return;
    const agent = new Agent(this.machine, this.ports, taps, (strand, error) =>
      this.world.threw(this, strand.name, error),
    );
    const name = this.name;
    this.agent = agent;
    this.late.claims.abandon();
    // Another life of the agent knows nothing of a copy that the last one had begun.
    this.server.rebuilding = false;
    this.server.identity = `${name}_${this.durable.clone}`;
    const context = createContext({
      name,
      instance: this.instance,
      version: '0.0.0',
      policy: { ...this.policy },
      now: () => this.machine.now(),
      wall: () => new Date(1.7e12 + this.world.scheduler.now),
      log: (event) => this.world.note(name, event.message),
      wake: () => agent.wake(),
      unlock: (lock) => agent.unlock(lock),
      checks: () => this.checks(),
      durable: { ...this.durable },
    });
    agent.context = context;
    const core = this.core(context, {
      newClone: () => this.world.newClone(),
      spawn: (procedure) => agent.run('task', procedure),
      decided: (rule) => this.world.decided(this, rule),
    });
    this.vote = core.answerVote;
    this.failsafe = core.answerFailsafe ?? null;
    for (const [process, start] of Object.entries(core.processes)) {
      if (agent.alive) agent.run(process, start());
    }
  }

  answerVote(request: VoteRequest, answer: (reply: VoteReply) => void): void {
    const agent = this.agent;
    if (agent === null || this.vote === null) return;
    this.votesAsked += 1;
    agent.run(`vote${this.votesAsked}`, this.vote(request), answer);
    this.world.voteAsked(this);
  }

  answerFailsafe(request: FailsafeRequest, answer: (agreed: boolean) => void): void {
    if (this.agent === null || this.failsafe === null) return;
    this.world.stats.failsafeAsked += 1;
    answer(this.failsafe(request));
  }

  killAgent(): void {
    if (this.agent === null) return;
    this.disturbed();
    this.agent.kill();
    this.agent = null;
    this.vote = null;
    this.failsafe = null;
  }

  /** Joined anew after it was removed: nothing is left of before. The agent is started by the caller. */
  rejoin(clone: string): void {
    this.killAgent();
    this.server.data = 'empty';
    this.durable = { clone, clusterId: 'cluster-1', incarnation: 1, vote: null, rebuilding: null };
  }

  disturbed(): void {
    this.disturbedAt = this.world.scheduler.now;
    // The kernel's lease needs no agent; only a machine that stands still escapes it, or a server that hangs.
    const closesItself = this.fence.mode === 'kernel' && !this.machine.paused && this.server.hung === 'no';
    if (this.open && !closesItself) this.loose = true;
  }

  /** Open to clients, as far as fence and database go. */
  get open(): boolean {
    return this.server.writable && this.fence.isOpen();
  }

  private checks(): {
    failing: string[];
    weak: string[];
    all: Record<string, { ok: boolean; output: string }>;
  } {
    const now = this.world.scheduler.now;
    const failing: string[] = [];
    const weak: string[] = [];
    if (this.services.broken && this.services.running) {
      (now - this.services.since > 9000 ? failing : weak).push('services');
    }
    const sick = this.sickSince === null ? 0 : now - this.sickSince;
    if (this.sickSince !== null) (sick > 3000 ? failing : weak).push('postgres_select');
    return failing.length + weak.length === 0 ? HEALTHY : { failing, weak, all: {} };
  }
}
