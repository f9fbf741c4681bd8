/**
 * How a run begins: a cluster that exists already and was switched off, or one manager that founds it and
 * others that join.
 */

import type { TxnOp } from '../../agent/core/ports.ts';
import type { ClusterRecord, LeaseRecord, NodeRecord, SyncRecord } from '../../agent/core/records.ts';
import { hostOf } from './pg_facts.ts';
import type { World } from './world.ts';

export type Boot = 'existing' | 'founder';

export function bootCluster(world: World, how: Boot): void {
  const founder = world.nodes[0];
  if (founder === undefined) return;
  world.root.end += 4096;
  const cluster: ClusterRecord = { schema: 1, id: 'cluster-1', incarnation: 1, systemId: 'system-1' };
  const ops = [set('cluster', cluster)];
  const members = how === 'existing' ? world.nodes : [founder];
  for (const node of members) ops.push(nodeRecord(node.name));
  if (how === 'existing') {
    const quorum = Math.floor(world.nodes.length / 2);
    const voters = world.nodes.slice(1).map((n) => ({ node: n.name, clone: n.durable.clone }));
    const k = Math.min(quorum, voters.length);
    const sync: SyncRecord = { schema: 1, leader: 'm1', epoch: 1, timeline: 1, history: [], voters, k };
    const lease: LeaseRecord = {
      schema: 1,
      holder: 'm1',
      instance: 'm1-before',
      epoch: 1,
      seq: 1,
      reason: 'first start',
      from: null,
      clean: null,
      closedForMs: null,
    };
    ops.push(set('sync', sync), set('next_master', lease));
  }
  for (const node of world.nodes) {
    const { server } = node;
    const has = how === 'existing' || node === founder;
    server.flushed = world.root.end;
    server.data = has ? 'ok' : 'empty';
    server.standbySignal = has && node !== founder;
    node.durable = { ...node.durable, clusterId: 'cluster-1', incarnation: 1 };
  }
  world.store.txn(ops, 0, 'operator');
  if (how === 'founder') joinLater(world);
}

/** The others join one after the other, once there is an active. */
function joinLater(world: World): void {
  const waiting = world.nodes.slice(1);
  const poll = () => {
    const next = waiting[0];
    if (next === undefined) return;
    const joined = Object.keys(world.store.view.nodes);
    const last = world.node(joined[joined.length - 1] ?? '');
    const settled = last !== undefined && (last.open || last.server.proc?.receiver != null);
    if (settled && world.nodes.some((n) => n.open)) {
      waiting.shift();
      world.store.txn([nodeRecord(next.name)], world.scheduler.now, 'operator');
    }
    world.scheduler.after(2000, poll);
  };
  world.scheduler.after(3000, poll);
}

function nodeRecord(name: string): TxnOp {
  const record: NodeRecord = {
    schema: 1,
    hostIp: hostOf(name),
    publicIp: null,
    apiPort: 8700,
    postgresPort: 5432,
    version: '0.0.0',
    options: { priority: 100, nofailover: false, maintenance: false },
  };
  return set(`nodes/${name}`, record);
}

function set(key: string, value: unknown): TxnOp {
  return { verb: 'set', key, value };
}
