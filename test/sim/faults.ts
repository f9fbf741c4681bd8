/** What can go wrong with a node, its network and its Consul, and how each is undone. */
import { machineShutsDown } from '../../agent/core/memory/main.ts';
import { mend } from './bad_records.ts';
import { NO_TROUBLE } from './consul_port.ts';
import { pause } from './operator.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export function killAgent(world: World, node: SimNode, downFor: number): void {
  world.note(node.name, `FAULT agent killed for ${downFor.toFixed(0)} ms`);
  node.killAgent();
  node.machine.later(downFor, () => node.startAgent(world.taps));
}

export function freezeAgent(world: World, node: SimNode, ms: number): void {
  const agent = node.agent;
  if (agent === null || agent.frozen) return;
  world.note(node.name, `FAULT agent frozen for ${ms.toFixed(0)} ms`);
  node.disturbed();
  agent.freeze();
  node.machine.later(ms, () => {
    if (!agent.alive || !agent.frozen) return;
    world.note(node.name, 'agent thaws');
    node.disturbed();
    agent.thaw();
  });
}

export function pauseMachine(world: World, node: SimNode, ms: number, clockStops: boolean): void {
  if (!node.machine.on || node.machine.paused) return;
  world.note(node.name, `FAULT machine paused for ${ms.toFixed(0)} ms${clockStops ? ', its clock too' : ''}`);
  node.machine.pause(clockStops);
  node.disturbed();
  world.raft.setUp(node.machine.index, false);
  world.connector.paused(node.server);
  const boot = node.machine.boot;
  world.scheduler.after(ms, () => node.machine.boot === boot && thawMachine(world, node));
}

export function thawMachine(world: World, node: SimNode): void {
  if (!node.machine.paused) return;
  world.note(node.name, 'machine thaws');
  node.disturbed();
  if (node.machine.blind) node.blindAt = world.scheduler.now;
  node.machine.thaw();
  world.raft.setUp(node.machine.index, true);
  world.connector.thawed(node.server);
}

export function cutPower(world: World, node: SimNode, offFor: number): void {
  if (!node.machine.on) return;
  world.note(node.name, `FAULT power cut for ${offFor.toFixed(0)} ms`);
  node.killAgent();
  node.machine.cutPower();
  node.fence.close();
  node.services.running = false;
  node.server.die('power cut');
  node.server.hung = 'no';
  node.server.rebuilding = false;
  world.raft.setUp(node.machine.index, false);
  const boot = node.machine.boot;
  world.scheduler.after(offFor, () => node.machine.boot === boot && powerOn(world, node));
}

/** The machine is shut down as it should be: the agent is told and has a moment to hand over. */
export function shutDown(world: World, node: SimNode, offFor: number): void {
  const context = node.agent?.context ?? null;
  if (context === null) return;
  world.note(node.name, 'shuts down');
  machineShutsDown(context.main);
  node.agent?.wake();
  node.machine.later(world.random.range(1000, 12_000), () => cutPower(world, node, offFor));
}

export function powerOn(world: World, node: SimNode): void {
  if (node.machine.on) return;
  world.note(node.name, 'power is back');
  node.machine.powerOn(world.random);
  node.newInstance();
  world.raft.setUp(node.machine.index, true);
  node.machine.later(world.random.range(200, 4000), () => node.startAgent(world.taps));
}

export function killPostmaster(world: World, node: SimNode, unstartableFor: number): void {
  if (node.server.proc === null) return;
  world.note(
    node.name,
    `FAULT postmaster killed${unstartableFor > 0 ? `, cannot start for ${unstartableFor.toFixed(0)} ms` : ''}`,
  );
  if (unstartableFor > 0) {
    node.server.unstartable = true;
    world.scheduler.after(unstartableFor, () => {
      node.server.unstartable = false;
    });
  }
  node.server.die('postmaster killed');
}

export function hang(world: World, node: SimNode, what: 'postmaster' | 'storage', ms: number): void {
  const proc = node.server.proc;
  if (proc === null || node.server.hung !== 'no') return;
  world.note(node.name, `FAULT ${what} hangs for ${ms.toFixed(0)} ms`);
  world.setHung(node, what);
  node.machine.later(ms, () => node.server.proc === proc && world.setHung(node, 'no'));
}

export function breakServices(world: World, node: SimNode, ms: number): void {
  world.note(node.name, `FAULT services broken for ${ms.toFixed(0)} ms`);
  node.services.broken = true;
  node.services.since = world.scheduler.now;
  for (const wait of [100, 3100, 9100]) node.machine.later(wait, () => node.agent?.wake());
  world.scheduler.after(ms, () => {
    node.services.broken = false;
  });
}

/** A standby's data directory is lost or cannot be read any more. */
export function loseData(world: World, node: SimNode): void {
  world.note(node.name, 'FAULT data directory lost');
  node.server.die('data directory lost');
  node.server.data = world.random.pick(['empty', 'broken'] as const);
}

export function holdReplay(world: World, node: SimNode, ms: number): void {
  const proc = node.server.proc;
  if (proc === null || proc.role !== 'standby') return;
  world.note(node.name, `FAULT replay stands still for ${ms.toFixed(0)} ms`);
  proc.heldAt = node.server.replayed(world.scheduler.now);
  proc.holdUntil = world.scheduler.now + ms;
}

/** Syncthing does not answer, and copies nothing. */
export function hangFiles(world: World, node: SimNode, ms: number): void {
  world.note(node.name, `FAULT Syncthing hangs for ${ms.toFixed(0)} ms`);
  node.files.hung = true;
  world.scheduler.after(ms, () => {
    node.files.hung = false;
  });
}

/** The root helper of the kernel lease is gone. */
export function stickFence(world: World, node: SimNode, ms: number): void {
  world.note(node.name, `FAULT no kernel lease for ${ms.toFixed(0)} ms`);
  node.fence.stuck = true;
  world.scheduler.after(ms, () => {
    node.fence.stuck = false;
  });
}

/** End everything that is still broken. `dead` stays switched off. */
export function heal(world: World, dead: SimNode | null): void {
  world.note('--', 'all faults end');
  pause(world, false);
  world.network.heal();
  for (const key of [...world.badRecords.keys.keys()]) mend(world, key);
  world.wire.lag.fill(0);
  for (const node of world.nodes) {
    node.trouble = NO_TROUBLE;
    node.services.broken = false;
    node.files.hung = false;
    node.fence.stuck = false;
    node.server.unstartable = false;
    if (node.server.hung !== 'no') world.setHung(node, 'no');
    if (node === dead) continue;
    if (node.machine.paused) thawMachine(world, node);
    node.agent?.thaw();
    powerOn(world, node);
    world.raft.setUp(node.machine.index, true);
    node.machine.later(500, () => node.startAgent(world.taps));
  }
}
