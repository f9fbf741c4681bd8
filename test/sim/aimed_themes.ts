/**
 * Storms aimed at the moments that general faults hardly ever meet: each is made for a sentence of the
 * protocol.
 */
import { NO_TROUBLE } from './consul_port.ts';
import { cutPower, freezeAgent, killAgent, killPostmaster } from './faults.ts';
import { lag } from './network_faults.ts';
import { removeNode, switchover } from './operator.ts';
import { frozen, lateWriter, loneConfirmer, lostWrite } from './targets.ts';
import { aStandby, restlessStandbys, type Theme } from './theme.ts';
import type { World } from './world.ts';

/**
 * The voter list is emptied and filled again; then the active and the quickest confirmer go beside a step of
 * it.
 */
export const loneConfirmation: Theme = {
  name: 'lone confirmation',
  begin: (world, targets) => {
    const within = world.random.pick([0, 40, 250]);
    const kinds = world.random.pick([['txn.sync'], ['txn.sync'], ['pg.setSyncList'], ['pg.replication']]);
    targets.set([
      { kinds, probability: world.random.pick([0.15, 0.5]), strike: loneConfirmer, within, once: true },
    ]);
    const slow = aStandby(world);
    if (slow !== null) lag(world, slow, world.random.range(500, 2600));
  },
  step: (world) => {
    const { random } = world;
    const standbys = world.nodes.filter((n) => !n.open);
    if (random.chance(0.2)) {
      const node = aStandby(world);
      if (node !== null) removeNode(world, node);
    } else if (standbys.length === world.nodes.length - 1 && standbys.every((n) => n.server.proc !== null)) {
      for (const node of standbys) killPostmaster(world, node, random.range(2500, 9000));
    }
  },
};

/** As above, with a write of the key that got lost. */
export const lostKeyWrite: Theme = {
  name: 'lost key write',
  begin: (world, targets) => {
    loneConfirmation.begin(world, targets);
    targets.set([{ kinds: ['txn.sync'], probability: 0.5, strike: lostWrite, within: 0, once: true }]);
  },
  step: (world) => loneConfirmation.step(world),
};

/** Members leave, so that fewer have to confirm. */
export const shrinking: Theme = {
  name: 'shrinking',
  begin: (world, targets) => {
    const probability = world.random.pick([0.1, 0.3]);
    targets.set([{ kinds: ['txn.sync'], probability, strike: loneConfirmer, within: 0, once: true }]);
    const slow = aStandby(world);
    if (slow !== null) lag(world, slow, world.random.range(300, 2500));
  },
  step: (world) => {
    for (let i = 0; i < 2; i += 1) {
      const node = aStandby(world);
      if (node !== null) removeNode(world, node);
    }
  },
};

/** Commits that nobody confirmed, a restart that exposes them, and the end of the only node that has them. */
export const exposed: Theme = {
  name: 'exposed by a restart',
  begin: () => undefined,
  step: (world) => {
    const { random, scheduler } = world;
    const active = world.nodes.find((n) => n.open);
    const others = world.nodes.filter((n) => n !== active);
    if (active === undefined || others.some((n) => n.server.proc?.receiver == null)) return;
    for (const node of others) killPostmaster(world, node, random.range(1000, 2500));
    scheduler.after(random.range(300, 900), () => killPostmaster(world, active, 0));
    scheduler.after(random.range(1000, 2500), () => cutPower(world, active, random.range(20_000, 40_000)));
  },
};

/**
 * Consul is lost to the active alone; one member agrees that it stays, and the only voter cannot be asked.
 */
export const failsafe: Theme = {
  name: 'failsafe',
  begin: (world) => {
    const { random, scheduler, nodes } = world;
    const active = nodes.find((n) => n.open);
    const others = random.shuffled(nodes.filter((n) => n !== active));
    const voter = others[0];
    if (active === undefined || voter === undefined) return;
    for (const node of others) killPostmaster(world, node, node === voter ? 5000 : 13_000);
    scheduler.after(random.range(10_000, 12_000), () => {
      world.note('--', `FAULT Consul is lost to ${active.name}, and ${voter.name} with it`);
      active.trouble = { ...NO_TROUBLE, drop: 1 };
      world.network.set(active.machine.index, voter.machine.index, true);
      world.network.set(voter.machine.index, active.machine.index, true);
    });
    scheduler.after(random.range(25_000, 40_000), () => {
      active.trouble = NO_TROUBLE;
      world.network.heal();
    });
  },
  step: () => undefined,
};

/** Writes that arrive when their sender is no longer what it was. */
export const lateWrites: Theme = {
  name: 'late writes',
  begin: (world, targets) => {
    const kinds = [...targets.seen].filter((kind) => kind.startsWith('txn.'));
    targets.set([
      { kinds, probability: world.random.pick([0.1, 0.4]), strike: lateWriter, within: 0, once: false },
    ]);
  },
  step: (world) => {
    if (world.random.chance(0.5)) switchover(world);
    else restlessStandbys.step(world);
  },
};

/** Frozen between two calls for longer than the lease. */
export const frozenBetween: Theme = {
  name: 'frozen between calls',
  begin: (world, targets) => {
    const dangerous = [
      'txn.confirm',
      'hooks.run',
      'pg.position',
      'pg.setSyncList',
      'pg.history',
      'fence.open',
      'pg.startPrimary',
    ];
    const kinds = world.random.chance(0.5) ? ('all' as const) : dangerous;
    targets.set([
      {
        kinds,
        probability: kinds === 'all' ? 0.03 : 0.3,
        strike: frozen,
        within: world.random.pick([0, 30]),
        once: false,
      },
    ]);
  },
  step: (world) => {
    const { random } = world;
    const active = world.nodes.find((n) => n.open);
    if (active === undefined) return;
    if (random.chance(0.4)) switchover(world);
    else if (random.chance(0.5)) killPostmaster(world, active, 0);
    else cutPower(world, active, random.range(2000, 10_000));
  },
};

/**
 * The agent of the active is frozen while its database works on; then voters are disturbed after their vote.
 */
export const frozenActive: Theme = {
  name: 'frozen active',
  begin: (world, targets) => {
    const { random } = world;
    targets.onVote = (node) => {
      if (!random.chance(0.5)) return;
      node.machine.later(random.range(50, 2200), () => {
        if (random.chance(0.5)) freezeAgent(world, node, random.range(1000, 10_000));
        else killAgent(world, node, random.range(100, 3000));
      });
    };
  },
  step: (world) => {
    const active = world.nodes.find((n) => n.open && n.agent?.frozen === false);
    if (active !== undefined) freezeAgent(world, active, world.random.range(6000, 25_000));
  },
};

/**
 * An active that is cut off with its agent frozen writes on and on; its successor dies before it can be told
 * so.
 */
export const foreignTail: Theme = {
  name: 'foreign tail',
  begin: (world) => {
    const old = world.nodes.find((n) => n.open);
    if (old === undefined) return;
    freezeAgent(world, old, world.random.range(10_000, 20_000));
    world.longTail = old.name;
    const wait = () => {
      const next = world.nodes.find((n) => n.open && n !== old);
      if (next === undefined) world.scheduler.after(200, wait);
      else world.scheduler.after(world.random.range(500, 4000), () => cutPower(world, next, 30_000));
    };
    world.scheduler.after(1000, wait);
  },
  step: () => undefined,
};

/** A switchover whose target falls behind in the middle of it. */
export const lostTarget: Theme = {
  name: 'lost target',
  begin: (_world, targets) => {
    const kinds = ['pg.checkpoint', 'hooks.run', 'fence.close', 'services.down', 'pg.stop', 'txn.give'];
    const strike = (w: World) => {
      const target = w.node(w.store.view.request?.value.target ?? '');
      if (target !== undefined && !target.open) killPostmaster(w, target, w.random.chance(0.5) ? 3000 : 0);
    };
    targets.set([{ kinds, probability: 0.3, strike, within: 60, once: false }]);
  },
  step: (world) => {
    const target = aStandby(world);
    if (target === null) return;
    if (world.random.chance(0.5)) lag(world, target, world.random.range(20, 1500));
    switchover(world, target);
  },
};
