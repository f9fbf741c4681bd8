/**
 * Faults between any two calls: some calls are made dangerous for a while, so that something happens just
 * before one is carried out, or at any time while it is.
 */
import type { Call } from '../../agent/core/ports.ts';
import type { Strand, Tap } from './agent.ts';
import { NO_TROUBLE } from './consul_port.ts';
import { cutPower, freezeAgent, killAgent, killPostmaster, pauseMachine } from './faults.ts';
import { isolate } from './network_faults.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export type Strike = (world: World, node: SimNode) => void;

/** At calls of these kinds (all: any that changes something), with this probability, this happens. */
export type Aim = {
  kinds: string[] | 'all';
  probability: number;
  strike: Strike;
  /** Longest delay after the call was begun; 0: always just before it. */
  within: number;
  /** Strike once, then let things take their course. */
  once: boolean;
};

/** What a call is, for choosing among them: key writes are told apart by what they write and who does it. */
export function kindOf(strand: Strand, call: Call): string {
  if (strand.name.startsWith('vote')) return `vote.${call.port}.${call.method}`;
  if (call.port !== 'consul' || call.method !== 'txn') return `${call.port}.${call.method}`;
  const keys = call.args[0].filter((op) => op.verb !== 'check-index').map((op) => op.key.split('/')[0]);
  const others = keys.filter((key) => key !== 'next_master');
  if (others.length > 0) return `txn.${others.join('+')}`;
  const value = (call.args[0][0] as { value?: { instance?: string; seq?: number } }).value;
  return value?.instance === '' ? 'txn.give' : strand.name === 'keeper' ? 'txn.renew' : 'txn.confirm';
}

const quiet = new Set(['consul.watch', 'state.publish', 'fence.extend', 'txn.renew']);

export class Targets {
  private aims: Aim[] = [];
  private world: World | null = null;
  /** Every kind of call seen so far, in the order of their first appearance. */
  readonly seen = new Set<string>();
  onVote: ((node: SimNode) => void) | null = null;

  attach(world: World): void {
    this.world = world;
    world.onVoteAsked = (node) => this.onVote?.(node);
  }

  set(aims: Aim[]): void {
    this.aims = aims;
  }

  clear(): void {
    this.aims = [];
    this.onVote = null;
  }

  readonly tap: Tap = (agent, strand, call) => {
    const world = this.world;
    if (world === null || call.port === 'time' || call.method === 'facts') return null;
    const kind = kindOf(strand, call);
    if (!quiet.has(kind)) this.seen.add(kind);
    for (const aim of this.aims) {
      if (aim.kinds === 'all' ? quiet.has(kind) : !aim.kinds.includes(kind)) continue;
      if (!world.random.chance(aim.probability)) continue;
      const node = world.nodes[agent.machine.index] as SimNode;
      world.note(node.name, `beside ${kind}:`);
      world.stats.faults += 1;
      if (aim.once) this.aims = this.aims.filter((a) => a !== aim);
      if (aim.within === 0 || world.random.chance(0.3)) aim.strike(world, node);
      else node.machine.later(world.random.range(0, aim.within), () => aim.strike(world, node));
      break;
    }
    return null;
  };
}

/**
 * Anything at all, to that node or another, and often to two at once: what only the second had confirmed is
 * missed then.
 */
export const anything: Strike = (world, node) => {
  const { random } = world;
  const others = world.nodes.filter((n) => n !== node);
  if (random.chance(0.4)) {
    const other = random.pick(others);
    if (random.chance(0.5)) cutPower(world, other, random.range(5000, 40_000));
    else isolate(world, [other]);
  }
  const victim = random.chance(0.15) ? random.pick(others) : node;
  const what = random.next();
  if (what < 0.3) killAgent(world, victim, random.skewed(200, 12_000));
  else if (what < 0.6) cutPower(world, victim, random.skewed(1000, 40_000));
  else if (what < 0.7) killPostmaster(world, victim, 0);
  else if (what < 0.85) freezeAgent(world, victim, random.skewed(500, 20_000));
  else pauseMachine(world, victim, random.skewed(500, 20_000), random.chance(0.5));
};

/**
 * The active is gone for long, and so is the agent of whoever has confirmed most: its vote must be missed.
 */
export const loneConfirmer: Strike = (world, node) => {
  const { random } = world;
  const others = world.nodes.filter((n) => n !== node && n.agent !== null);
  const first = others.sort((a, b) => b.server.flushed - a.server.flushed)[0];
  cutPower(world, node, random.range(20_000, 40_000));
  if (first !== undefined) killAgent(world, first, random.range(15_000, 35_000));
};

/** What it sends now arrives when it is gone, or never. */
export const lateWriter: Strike = (world, node) => {
  const { random } = world;
  const late = random.chance(0.7);
  node.trouble = { ...NO_TROUBLE, drop: late ? 0 : 1, late: late ? 1 : 0, lateBy: 20_000 };
  world.note(node.name, `FAULT the next writes ${late ? 'arrive late' : 'get lost'}`);
  const boot = node.machine.boot;
  world.scheduler.after(random.range(5, 2500), () => {
    if (node.machine.boot !== boot) return;
    node.trouble = NO_TROUBLE;
    if (random.chance(0.7)) cutPower(world, node, random.range(5000, 40_000));
    else freezeAgent(world, node, random.range(5000, 20_000));
  });
};

/** This write gets lost, and whoever took it for done goes while it still holds the lease. */
export const lostWrite: Strike = (world, node) => {
  node.trouble = { ...NO_TROUBLE, drop: 1 };
  world.note(node.name, 'FAULT the next writes get lost');
  node.machine.later(world.random.range(1200, 4500), () => {
    node.trouble = NO_TROUBLE;
    loneConfirmer(world, node);
  });
};

/** The clock runs on, the agent does not: what it had confirmed is over when it wakes. */
export const frozen: Strike = (world, node) => freezeAgent(world, node, world.random.range(3000, 14_000));
