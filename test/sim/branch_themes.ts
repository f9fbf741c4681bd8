/**
 * Storms about standbys that are ahead of whoever took over: they are served up to the fork, and seem to
 * confirm.
 */
import { freezeAgent, killAgent, killPostmaster } from './faults.ts';
import type { SimNode } from './sim_node.ts';
import type { Theme } from './theme.ts';
import type { World } from './world.ts';

/**
 * The agent of the active stands still while its database writes on, past what its successor will have;
 * continued, it starts as a standby of that successor, whose agent and database are gone soon after it let
 * clients in.
 */
export const aheadOfTheFork: Theme = {
  name: 'ahead of the fork',
  begin: (world) => {
    const { random, scheduler } = world;
    const old = world.nodes.find((n) => n.open);
    if (old === undefined) return;
    freezeAgent(world, old, random.range(6000, 11_000));
    world.longTail = old.name;
    const gone = (next: SimNode) => {
      killAgent(world, next, random.range(15_000, 30_000));
      killPostmaster(world, next, 40_000);
    };
    onceOpen(world, old, (next) => scheduler.after(random.range(300, 6000), () => gone(next)));
  },
  step: () => undefined,
};

/** When another than `old` lets clients in, and `old` is back as a standby. */
function onceOpen(world: World, old: SimNode, then: (next: SimNode) => void): void {
  const next = world.nodes.find((n) => n !== old && n.open);
  if (next !== undefined && old.agent?.frozen === false) then(next);
  else if (world.longTail !== null) world.scheduler.after(100, () => onceOpen(world, old, then));
}
