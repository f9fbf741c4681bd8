/** The storm of calls that take effect late (late_calls.ts). */
import { freezeAgent } from './faults.ts';
import { switchover } from './operator.ts';
import type { SimNode } from './sim_node.ts';
import type { Theme } from './theme.ts';
import type { World } from './world.ts';

export function holdFiles(world: World, node: SimNode, ms: number): void {
  world.note(node.name, `FAULT files do not answer for ${ms.toFixed(0)} ms`);
  node.late.hold(world.scheduler.now + ms);
}

/**
 * Whoever follows hangs, and the active it would follow is frozen: its successor is voted for before the call
 * goes on.
 */
const hangAndFreeze = (world: World, node: SimNode): void => {
  const { random } = world;
  holdFiles(world, node, random.range(2500, 16_000));
  const active = world.nodes.find((n) => n.open && n !== node);
  if (active === undefined) return;
  node.machine.later(random.range(0, 1500), () => freezeAgent(world, active, random.range(8000, 25_000)));
};

/** A change hangs, is given up, and goes on when all is different. */
export const lateCalls: Theme = {
  name: 'late calls',
  begin: (world, targets) => {
    const kinds = world.random.pick([
      ['pg.setUpstream'],
      ['pg.setUpstream'],
      ['pg.setSyncList'],
      ['fence.open'],
      ['pg.setUpstream', 'pg.setSyncList', 'fence.open'],
    ]);
    targets.set([{ kinds, probability: 0.5, strike: hangAndFreeze, within: 0, once: false }]);
  },
  step: (world) => {
    const { random } = world;
    const active = world.nodes.find((n) => n.open && n.agent?.frozen === false);
    if (random.chance(0.3)) switchover(world);
    // Long enough for votes, short enough for the holder to go on: everybody has to follow anew then.
    else if (active !== undefined) freezeAgent(world, active, random.range(6000, 12_000));
  },
};
