/** Storms for moments that need two rare things at once. */
import { cutPower, killAgent, killPostmaster } from './faults.ts';
import { copyAgain, switchover } from './operator.ts';
import { aStandby, type Theme } from './theme.ts';

/** Everybody often reads what was the case some seconds ago, while roles and voters change. */
export const staleReads: Theme = {
  name: 'stale reads',
  begin: (world) => {
    for (const node of world.nodes)
      node.trouble = { ...node.trouble, stale: world.random.pick([0.2, 0.5, 0.8]) };
  },
  step: (world) => {
    const { random } = world;
    const active = world.nodes.find((n) => n.open) ?? random.pick(world.nodes);
    const standby = aStandby(world) ?? active;
    const what = random.next();
    if (what < 0.25) cutPower(world, active, random.range(3000, 15_000));
    else if (what < 0.4) killAgent(world, active, random.range(200, 3000));
    else if (what < 0.55) killPostmaster(world, active, 0);
    else if (what < 0.75) killPostmaster(world, standby, random.range(3000, 9000));
    else switchover(world);
  },
};

/** A copy that is being listed is at the same moment wanted to be made again. */
export const copiedAgain: Theme = {
  name: 'copied again',
  begin: (world, targets) => {
    const strike = (w: typeof world) => {
      const standby = aStandby(w);
      if (standby !== null) copyAgain(standby);
    };
    const kinds = world.random.pick([['txn.sync'], ['pg.setSyncList'], ['pg.replication']]);
    targets.set([{ kinds, probability: world.random.pick([0.1, 0.4]), strike, within: 40, once: false }]);
  },
  step: (world) => {
    const { random } = world;
    const standbys = world.nodes.filter((n) => !n.open);
    if (random.chance(0.6))
      for (const node of standbys) killPostmaster(world, node, random.range(2500, 6000));
    else {
      const active = world.nodes.find((n) => n.open);
      if (active !== undefined) cutPower(world, active, random.range(15_000, 30_000));
    }
  },
};
