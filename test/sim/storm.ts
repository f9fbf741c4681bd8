/** Draws faults at random: what, on whom, for how long. */
import type { TxnOp } from '../../agent/core/ports.ts';
import type { RequestRecord } from '../../agent/core/records.ts';
import * as faults from './faults.ts';
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
  [2, (w) => w.raft.unseat()],
  [4, (w, n) => trouble(w, n)],
  [2, (w, n) => lag(w, n)],
  [1, (w, n) => faults.holdReplay(w, n, w.random.skewed(500, 15_000))],
  [2, (w, n) => faults.breakServices(w, n, w.random.skewed(2000, 30_000))],
  [4, (w) => switchover(w)],
  [1, (w) => powerCutAll(w)],
  [2, (w, n) => n.open || loseStandby(w, n)],
  [2, (w, n) => n.open || removeNode(w, n)],
];
const total = kinds.reduce((sum, [weight]) => sum + weight, 0);

function randomFault(world: World): void {
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

/** Standbys that come, go and lag under an active that is left alone: the voter list is in motion all the time. */
function restlessStandbys(world: World): void {
  const { random } = world;
  world.stats.faults += 1;
  const standbys = world.nodes.filter((n) => !n.open);
  if (standbys.length === 0) return;
  const node = random.pick(standbys);
  const what = random.next();
  if (what < 0.25) faults.cutPower(world, node, random.skewed(1000, 20_000));
  else if (what < 0.4) faults.killPostmaster(world, node, 0);
  else if (what < 0.6) isolate(world, [node]);
  else if (what < 0.75) lag(world, node);
  else if (what < 0.85) loseStandby(world, node);
  else if (what < 0.95) removeNode(world, node);
  else faults.killAgent(world, node, random.skewed(200, 10_000));
}

/** What a storm is made of. */
export const themes: ((world: World) => void)[] = [randomFault, randomFault, restlessStandbys];

export function switchover(world: World): void {
  const { random, store, scheduler } = world;
  const target = random.pick(world.nodes).name;
  const request: RequestRecord = {
    schema: 1,
    id: `r${store.view.index}`,
    kind: 'switchover',
    target,
    epoch: store.view.lease?.value.epoch ?? 0,
    expires: 1.7e12 + scheduler.now + random.range(5000, 60_000),
    by: 'operator',
    refused: null,
  };
  world.note('--', `switchover to ${target} requested`);
  store.txn([{ verb: 'set', key: 'request', value: request }], scheduler.now, 'operator');
}

export function isolate(world: World, nodes: SimNode[]): void {
  world.note('--', `FAULT cut off: ${nodes.map((n) => n.name).join(', ')}`);
  world.network.isolate(nodes.map((n) => n.machine.index));
  mend(world);
}

function oneWay(world: World, node: SimNode): void {
  const inward = world.random.chance(0.5);
  world.note(node.name, `FAULT nothing gets ${inward ? 'in' : 'out'}`);
  for (const other of world.nodes) {
    if (other === node) continue;
    const [from, to] = inward ? [other, node] : [node, other];
    world.network.set(from.machine.index, to.machine.index, true);
  }
  mend(world);
}

function pair(world: World, node: SimNode): void {
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

function consulServer(world: World): void {
  const index = world.random.int(world.nodes.length);
  world.note(`m${index + 1}`, 'FAULT Consul server down');
  world.raft.setUp(index, false);
  world.scheduler.after(world.random.skewed(500, 15_000), () => {
    const machine = world.nodes[index]?.machine;
    if (machine?.on && !machine.paused) world.raft.setUp(index, true);
  });
}

function trouble(world: World, node: SimNode): void {
  const { random } = world;
  node.trouble = {
    drop: random.pick([0, 0.1, 0.4]),
    lose: random.pick([0, 0.2, 0.5]),
    late: random.pick([0, 0.1, 0.3]),
    stale: random.pick([0, 0.2, 0.6]),
    delay: random.pick([0, 20, 400, 1500]),
  };
  world.note(node.name, `FAULT requests to Consul: ${JSON.stringify(node.trouble)}`);
}

export function lag(world: World, node: SimNode): void {
  const ms = world.random.skewed(50, 8000);
  world.note(node.name, `FAULT replication lags by ${ms.toFixed(0)} ms`);
  world.wire.lag[node.machine.index] = ms;
  world.scheduler.after(world.random.range(2000, 30_000), () => {
    world.wire.lag[node.machine.index] = 0;
  });
}

function powerCutAll(world: World): void {
  for (const node of world.nodes) faults.cutPower(world, node, world.random.range(1000, 30_000));
}

/** Only while every other copy is well: more lost disks than the voters can bear are the operator's case. */
function loseStandby(world: World, node: SimNode): void {
  const others = world.nodes.filter((n) => n !== node);
  if (Object.keys(world.store.view.nodes).length < world.nodes.length) return;
  const well = others.every((n) => n.server.data === 'ok' && n.durable.rebuilding === null && n.machine.on);
  const leader = world.store.view.sync?.value.leader;
  if (well && leader !== node.name && others.some((n) => n.open)) faults.loseData(world, node);
}

/** The operator takes a healthy standby out; it comes back later as a new one, with nothing of its own. */
function removeNode(world: World, node: SimNode): void {
  const { store, scheduler, nodes } = world;
  const record = store.view.nodes[node.name];
  const sync = store.view.sync?.value;
  const members = Object.keys(store.view.nodes).length;
  if (record === undefined || members < nodes.length || members < 3) return;
  if (sync === undefined || sync.leader === node.name || !nodes.some((n) => n.open)) return;
  if (store.view.lease?.value.holder === node.name) return;
  if (!nodes.every((n) => n.open || n.server.proc?.receiver != null)) return;
  world.note(node.name, 'removed by the operator');
  const tombstone = { schema: 1, at: '', hostIp: record.hostIp };
  const out: TxnOp[] = [
    { verb: 'delete', key: `nodes/${node.name}` },
    { verb: 'set', key: `removed/${node.name}`, value: tombstone },
  ];
  store.txn(out, scheduler.now, 'operator');
  const back = () => {
    const voter = store.view.sync?.value.voters.some((v) => v.node === node.name);
    const wanted = store.view.sync?.value.leader === node.name;
    if (
      voter ||
      wanted ||
      !node.machine.on ||
      node.server.proc !== null ||
      store.view.states[node.name] === undefined
    ) {
      scheduler.after(1000, back);
      return;
    }
    node.rejoin(world.newClone());
    const join: TxnOp[] = [
      { verb: 'delete', key: `removed/${node.name}` },
      { verb: 'delete', key: `state/${node.name}` },
      { verb: 'set', key: `nodes/${node.name}`, value: record },
    ];
    store.txn(join, scheduler.now, 'operator');
    node.machine.later(300, () => node.startAgent(world.taps));
  };
  scheduler.after(world.random.range(2000, 20_000), back);
}
