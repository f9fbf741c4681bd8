/** Cuts, delays and bad connections, each of which mends by itself. */
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export function isolate(world: World, nodes: SimNode[]): void {
  world.note('--', `FAULT cut off: ${nodes.map((n) => n.name).join(', ')}`);
  world.network.isolate(nodes.map((n) => n.machine.index));
  mend(world);
}

export function oneWay(world: World, node: SimNode): void {
  const inward = world.random.chance(0.5);
  world.note(node.name, `FAULT nothing gets ${inward ? 'in' : 'out'}`);
  for (const other of world.nodes) {
    if (other === node) continue;
    const [from, to] = inward ? [other, node] : [node, other];
    world.network.set(from.machine.index, to.machine.index, true);
  }
  mend(world);
}

export function pair(world: World, node: SimNode): void {
  const other = world.random.pick(world.nodes);
  if (other === node) return;
  world.note('--', `FAULT no way between ${node.name} and ${other.name}`);
  world.network.set(node.machine.index, other.machine.index, true);
  if (world.random.chance(0.7)) world.network.set(other.machine.index, node.machine.index, true);
  mend(world);
}

function mend(world: World): void {
  world.scheduler.after(world.random.skewed(800, 40_000), () => {
    world.note('--', 'network mended');
    world.network.heal();
  });
}

export function consulServer(world: World): void {
  const index = world.random.int(world.nodes.length);
  world.note(`m${index + 1}`, 'FAULT Consul server down');
  world.raft.setUp(index, false);
  world.scheduler.after(world.random.skewed(500, 15_000), () => {
    const machine = world.nodes[index]?.machine;
    if (machine?.on && !machine.paused) world.raft.setUp(index, true);
  });
}

/** Every Consul server is down, the network is not: what failsafe is for. */
export function consulDown(world: World): void {
  world.note('--', 'FAULT Consul down everywhere');
  for (const index of world.nodes.keys()) world.raft.setUp(index, false);
  world.scheduler.after(world.random.skewed(2000, 40_000), () => {
    for (const [index, node] of world.nodes.entries()) {
      if (node.machine.on && !node.machine.paused) world.raft.setUp(index, true);
    }
  });
}

export function trouble(world: World, node: SimNode): void {
  const { random } = world;
  node.trouble = {
    drop: random.pick([0, 0.1, 0.4]),
    lose: random.pick([0, 0.2, 0.5]),
    late: random.pick([0, 0.1, 0.3]),
    lateBy: 8000,
    stale: random.pick([0, 0.2, 0.6]),
    delay: random.pick([0, 20, 400, 1500]),
  };
  world.note(node.name, `FAULT requests to Consul: ${JSON.stringify(node.trouble)}`);
}

export function lag(world: World, node: SimNode, ms = world.random.skewed(50, 8000)): void {
  world.note(node.name, `FAULT replication lags by ${ms.toFixed(0)} ms`);
  world.wire.lag[node.machine.index] = ms;
  world.scheduler.after(world.random.range(2000, 30_000), () => {
    world.wire.lag[node.machine.index] = 0;
  });
}
