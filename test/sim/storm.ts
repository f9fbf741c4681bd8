/** Draws faults at random: what, on whom, for how long. */
import * as faults from './faults.ts';
import { consulDown, consulServer, isolate, lag, oneWay, pair, trouble } from './network_faults.ts';
import { copyAgain, pause, removeNode, switchover } from './operator.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

type Kind = (world: World, node: SimNode) => void;

/** Each with its weight. `node` is the active half of the time. */
const kinds: [number, Kind][] = [
  [3, (w, n) => faults.killAgent(w, n, w.random.skewed(200, 20_000))],
  [3, (w, n) => faults.freezeAgent(w, n, w.random.skewed(300, 25_000))],
  [3, (w, n) => faults.pauseMachine(w, n, w.random.skewed(300, 30_000), w.random.chance(0.5))],
  [4, (w, n) => faults.cutPower(w, n, w.random.skewed(1000, 60_000))],
  [4, (w, n) => faults.killPostmaster(w, n, w.random.chance(0.25) ? w.random.range(1000, 20_000) : 0)],
  [1, (w, n) => faults.hang(w, n, 'postmaster', w.random.skewed(500, 20_000))],
  [1, (w, n) => faults.hang(w, n, 'storage', w.random.skewed(500, 20_000))],
  [4, (w, n) => isolate(w, [n])],
  [2, (w, n) => isolate(w, [n, w.random.pick(w.nodes)])],
  [2, (w, n) => oneWay(w, n)],
  [2, (w, n) => pair(w, n)],
  [2, (w) => consulServer(w)],
  [2, (w) => consulDown(w)],
  [2, (w) => w.raft.unseat()],
  [4, (w, n) => trouble(w, n)],
  [2, (w, n) => lag(w, n)],
  [1, (w, n) => faults.holdReplay(w, n, w.random.skewed(500, 15_000))],
  [2, (w, n) => faults.breakServices(w, n, w.random.skewed(2000, 30_000))],
  [2, (w, n) => faults.hangFiles(w, n, w.random.skewed(1000, 30_000))],
  [1, (w, n) => faults.stickFence(w, n, w.random.skewed(1000, 30_000))],
  [4, (w) => switchover(w)],
  [1, (_, n) => n.open || copyAgain(n)],
  [1, (w) => pause(w, true)],
  [2, (w, n) => faults.shutDown(w, n, w.random.skewed(2000, 30_000))],
  [1, (w) => powerCutAll(w)],
  [2, (w, n) => n.open || loseStandby(w, n)],
  [2, (w, n) => n.open || removeNode(w, n)],
];
const total = kinds.reduce((sum, [weight]) => sum + weight, 0);

export function randomFault(world: World): void {
  const { random } = world;
  world.stats.faults += 1;
  const active = world.nodes.find((n) => n.open);
  const node = active !== undefined && random.chance(0.5) ? active : random.pick(world.nodes);
  let at = random.next() * total;
  for (const [weight, kind] of kinds) {
    at -= weight;
    if (at >= 0) continue;
    kind(world, node);
    return;
  }
}

function powerCutAll(world: World): void {
  for (const node of world.nodes) faults.cutPower(world, node, world.random.range(1000, 30_000));
}

/** Only while every other copy is well: more lost disks than the voters can bear are the operator's case. */
export function loseStandby(world: World, node: SimNode): void {
  const others = world.nodes.filter((n) => n !== node);
  if (Object.keys(world.store.view.nodes).length < world.nodes.length) return;
  const well = others.every((n) => n.server.data === 'ok' && n.durable.rebuilding === null && n.machine.on);
  const leader = world.store.view.sync?.value.leader;
  if (well && leader !== node.name && others.some((n) => n.open)) faults.loseData(world, node);
}
