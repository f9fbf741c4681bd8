/** What a storm is made of: general faults, and standbys that never rest. */
import { cutPower, killAgent, killPostmaster } from './faults.ts';
import { isolate, lag } from './network_faults.ts';
import { removeNode } from './operator.ts';
import type { SimNode } from './sim_node.ts';
import { loseStandby, randomFault } from './storm.ts';
import { anything, lateWriter, loneConfirmer, type Targets } from './targets.ts';
import type { World } from './world.ts';

export type Theme = {
  name: string;
  begin(world: World, targets: Targets): void;
  /** One fault; called again and again. */
  step(world: World): void;
};

const syncCalls = ['txn.sync', 'pg.setSyncList', 'pg.replication'];

export const randomFaults: Theme = {
  name: 'random',
  begin: (world, targets) => {
    const { random } = world;
    const background = { kinds: 'all' as const, strike: anything, within: 200, once: false };
    targets.set([{ ...background, probability: random.pick([0, 0.005, 0.02]) }]);
    if (random.chance(0.4) || targets.seen.size === 0) return;
    const kind = random.pick([...targets.seen]);
    world.note('--', `aiming at ${kind}`);
    const within = kind.startsWith('txn') ? 30 : 200;
    targets.set([
      { kinds: [kind], probability: random.pick([0.1, 0.3, 0.6]), strike: anything, within, once: false },
    ]);
    if (random.chance(0.5)) lag(world, random.pick(world.nodes));
  },
  step: randomFault,
};

export const restlessStandbys: Theme = {
  name: 'restless standbys',
  begin: (world, targets) => {
    const probability = world.random.pick([0.02, 0.1, 0.3]);
    const strike = world.random.pick([anything, loneConfirmer, lateWriter]);
    targets.set([{ kinds: syncCalls, probability, strike, within: 150, once: false }]);
  },
  step: (world) => {
    const node = aStandby(world);
    if (node === null) return;
    const { random } = world;
    world.stats.faults += 1;
    const what = random.next();
    if (what < 0.25) cutPower(world, node, random.skewed(1000, 20_000));
    else if (what < 0.4) killPostmaster(world, node, 0);
    else if (what < 0.6) isolate(world, [node]);
    else if (what < 0.75) lag(world, node);
    else if (what < 0.85) loseStandby(world, node);
    else if (what < 0.95) removeNode(world, node);
    else killAgent(world, node, random.skewed(200, 10_000));
  },
};

export function aStandby(world: World): SimNode | null {
  const standbys = world.nodes.filter((n) => !n.open);
  return standbys.length === 0 ? null : world.random.pick(standbys);
}
