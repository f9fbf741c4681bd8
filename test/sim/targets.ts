/**
 * Faults between any two calls: some calls are made dangerous for a while, so that agent, machine or clock stop just
 * before one is carried out, or at any time while it is.
 */
import type { Call } from '../../agent/core/ports.ts';
import type { Tap } from './agent.ts';
import { cutPower, freezeAgent, killAgent, killPostmaster, pauseMachine } from './faults.ts';
import type { SimNode } from './sim_node.ts';
import { isolate, lag } from './storm.ts';
import type { World } from './world.ts';

/** What a call is, for choosing among them: key writes are told apart by what they write. */
export function kindOf(call: Call): string {
  if (call.port !== 'consul' || call.method !== 'txn') return `${call.port}.${call.method}`;
  const keys = call.args[0].filter((op) => op.verb !== 'check-index').map((op) => op.key.split('/')[0]);
  return keys.length === 1 && keys[0] === 'next_master'
    ? `txn.lease${leaseKind(call.args[0][0])}`
    : `txn.${keys.join('+')}`;
}

function leaseKind(op: unknown): string {
  const value = (op as { value?: { instance?: string; seq?: number } }).value;
  if (value?.instance === '') return '.give';
  return value?.seq !== undefined && value.seq > 1 ? '' : '.take';
}

const quiet = new Set([
  'time.nap',
  'time.sleep',
  'time.lock',
  'pg.facts',
  'services.facts',
  'consul.watch',
  'state.publish',
  'fence.extend',
  'txn.lease',
]);

export class Targets {
  /** The kinds that are dangerous now, and how much. */
  private aim: { kind: string; probability: number } | null = null;
  /** Every other mutating call. */
  private background = 0;
  private readonly seen = new Set<string>();
  private world: World | null = null;

  attach(world: World): void {
    this.world = world;
    world.onVoteAsked = (node) => {
      if (this.aim?.kind === 'vote' && world.random.chance(this.aim.probability)) this.harm(node, 400);
    };
  }

  begin(): void {
    const random = (this.world as World).random;
    this.background = random.pick([0, 0.005, 0.02]);
    const kinds = [...this.seen, 'vote'];
    this.aim = random.chance(0.6)
      ? { kind: random.pick(kinds), probability: random.pick([0.1, 0.3, 0.6]) }
      : null;
    if (this.aim === null) return;
    const world = this.world as World;
    world.note('--', `aiming at ${this.aim.kind}`);
    // One standby behind the others: what the quick ones confirm, it does not have.
    if (random.chance(0.5)) lag(world, random.pick(world.nodes));
  }

  end(): void {
    this.aim = null;
    this.background = 0;
  }

  readonly tap: Tap = (agent, _strand, call) => {
    const world = this.world;
    if (world === null) return null;
    const kind = kindOf(call);
    if (quiet.has(kind) && this.aim?.kind !== kind) return null;
    this.seen.add(kind);
    const probability = this.aim?.kind === kind ? this.aim.probability : this.background;
    if (probability === 0 || !world.random.chance(probability)) return null;
    const node = world.nodes[agent.machine.index] as SimNode;
    world.note(node.name, `beside ${kind}:`);
    if (world.random.chance(0.3)) this.strike(node);
    else this.harm(node, kind.startsWith('txn') ? 30 : 200);
    return null;
  };

  /** Within the next `ms`. */
  private harm(node: SimNode, ms: number): void {
    const world = this.world as World;
    node.machine.later(world.random.range(0, ms), () => this.strike(node));
  }

  private strike(node: SimNode): void {
    const world = this.world as World;
    const { random } = world;
    world.stats.faults += 1;
    const others = world.nodes.filter((n) => n !== node);
    // Often a second node goes at the same moment: whatever only that one had confirmed must be missed then.
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
  }
}
