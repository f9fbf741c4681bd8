/** What an operator asks for. */

import type { ConfigRecord } from '../../agent/core/config_record.ts';
import { want } from '../../agent/core/memory/copy.ts';
import type { TxnOp } from '../../agent/core/ports.ts';
import type { RequestRecord } from '../../agent/core/records.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export function switchover(world: World, to?: SimNode): void {
  const { random, store, scheduler } = world;
  const target = (to ?? random.pick(world.nodes)).name;
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

/** Nothing may change roles while the cluster is paused. Ends by itself, or when the faults end. */
export function pause(world: World, paused: boolean): void {
  const { store, scheduler, options } = world;
  const before = store.view.config?.value;
  if ((before?.paused ?? false) === paused) return;
  world.note('--', paused ? 'the cluster is paused' : 'the pause is lifted');
  const config: ConfigRecord = {
    schema: 1,
    ...(before?.lease === undefined ? {} : { lease: before.lease }),
    version: (before?.version ?? 0) + 1,
    paused,
    pausedUntil: null,
    synchronousMode: options.policy.synchronousMode,
  };
  store.txn([{ verb: 'set', key: 'config', value: config }], scheduler.now, 'operator');
  if (paused) scheduler.after(world.random.range(2000, 30_000), () => pause(world, false));
}

/** The operator takes a healthy standby out; it comes back later as a new one, with nothing of its own. */
export function removeNode(world: World, node: SimNode): void {
  const { store, scheduler, nodes } = world;
  const record = store.view.nodes[node.name];
  const sync = store.view.sync?.value;
  const members = Object.keys(store.view.nodes).length;
  // Two may be away in a cluster of five, one in a cluster of three.
  if (record === undefined || members < 3 || members < nodes.length - (nodes.length > 3 ? 1 : 0)) return;
  if (sync === undefined || sync.leader === node.name || !nodes.some((n) => n.open)) return;
  if (store.view.lease?.value.holder === node.name) return;
  const well = nodes.filter((n) => n.open || n.server.proc?.receiver != null).length;
  if (well < members) return;
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

/** The operator wants a standby's database copied again. */
export function copyAgain(node: SimNode): void {
  const context = node.agent?.context ?? null;
  if (context === null) return;
  want(context.copy, 'reclone');
  node.agent?.wake();
}
