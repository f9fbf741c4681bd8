/**
 * Values in Consul that an agent does not understand: of a newer version, half written, or by somebody's
 * hand. For some nodes or for all, for a while. Whoever started meanwhile knows nothing of what stood there
 * before.
 */

import type { ConfigRecord } from '../../agent/core/config_record.ts';
import type { TxnOp } from '../../agent/core/ports.ts';
import type { Kv, View } from '../../agent/core/records.ts';
import { unknownNode } from '../../agent/core/unreadable.ts';
import { cutPower, freezeAgent, killAgent, killPostmaster } from './faults.ts';
import type { SimNode } from './sim_node.ts';
import type { Theme } from './theme.ts';
import type { World } from './world.ts';

/** What a node last understood of members, `sync`, `cluster` and `config`, in this life of its agent. */
type Memory = { agent: unknown; view: View };

export class BadRecords {
  /** Keys that cannot be read, and by whom; 'all' is everybody. */
  readonly keys = new Map<string, 'all' | Set<string>>();
  private readonly memories = new Map<string, Memory>();

  unreadableBy(node: SimNode): string[] {
    const blind = ([, by]: [string, 'all' | Set<string>]) => by === 'all' || by.has(node.name);
    return [...this.keys].filter(blind).map(([key]) => key);
  }

  /** The view as this node understands it. */
  seenBy(node: SimNode, whole: View): View {
    const keys = this.unreadableBy(node);
    const known = this.memories.get(node.name);
    const before = known !== undefined && known.agent === node.agent ? known.view : null;
    const seen = keys.length === 0 ? whole : without(whole, keys, before);
    this.memories.set(node.name, { agent: node.agent, view: seen });
    return seen;
  }
}

const INDEX = Number.MAX_SAFE_INTEGER;
const stale = (kv: Kv<unknown> | null | undefined) =>
  kv === null || kv === undefined ? null : { value: kv.value, index: INDEX };

function without(whole: View, keys: string[], before: View | null): View {
  const view: View = { ...whole, unreadable: Object.fromEntries(keys.map((key) => [key, 'garbled'])) };
  for (const key of keys) {
    const [folder, name = ''] = key.split('/');
    if (folder === 'next_master') view.lease = null;
    else if (folder === 'sync' || folder === 'cluster' || folder === 'config')
      view[folder] = stale(before?.[folder]) as never;
    else if (folder === 'request' || folder === 'active') view[folder] = null;
    else if (folder === 'nodes' && view.nodes[name] !== undefined)
      view.nodes = { ...view.nodes, [name]: before?.nodes[name] ?? unknownNode() };
    else if (folder === 'state')
      view.states = Object.fromEntries(Object.entries(view.states).filter(([node]) => node !== name));
    else if (folder === 'history') view.history = view.history.filter((h) => `${h.epoch}` !== name);
  }
  return view;
}

/** `key` becomes unreadable now, and readable again after `ms`. Each is a write: the index moves. */
export function garble(world: World, key: string, ms: number, by: 'all' | Set<string>): void {
  const { store, scheduler, badRecords } = world;
  if (badRecords.keys.has(key) || store.get(key) === undefined) return;
  world.note('--', `FAULT ${key} is not understood by ${by === 'all' ? 'anybody' : [...by].join(', ')}`);
  world.stats.faults += 1;
  badRecords.keys.set(key, by);
  touch(world, key);
  scheduler.after(ms, () => mend(world, key));
}

export function mend(world: World, key: string): void {
  if (!world.badRecords.keys.delete(key)) return;
  world.note('--', `${key} is understood again`);
  touch(world, key);
}

/** Another value of the same meaning: what a newer version, or a hand that puts it right, writes. */
function touch(world: World, key: string): void {
  const held = world.store.get(key);
  if (held === undefined) return;
  const value = { ...(held.value as object), touched: world.scheduler.now };
  const ops: TxnOp[] = [{ verb: 'set', key, value }];
  world.store.txn(ops, world.scheduler.now, 'operator');
}

/**
 * How commits are confirmed is the cluster's, in its `config` key; what stands in a node's own file may
 * differ.
 */
function otherModes(world: World): void {
  const { random, store, scheduler, options } = world;
  if (store.view.config === null) {
    const { synchronousMode } = options.policy;
    const config: ConfigRecord = { schema: 1, version: 1, paused: false, pausedUntil: null, synchronousMode };
    store.txn([{ verb: 'set', key: 'config', value: config }], scheduler.now, 'operator');
  }
  for (const node of world.nodes)
    if (random.chance(0.4))
      node.policy = { ...node.policy, synchronousMode: random.pick(['quorum', 'strict', 'off'] as const) };
}

export const badRecords: Theme = {
  name: 'bad records',
  begin: (world) => otherModes(world),
  step: (world) => {
    const { random, store } = world;
    const name = random.pick(world.nodes).name;
    const epoch = store.view.history.at(-1)?.epoch ?? 0;
    const decisive = ['next_master', 'sync', 'cluster'];
    const others = [`state/${name}`, `nodes/${name}`, `history/${epoch}`, 'request', 'config', 'active'];
    const key = random.chance(0.6)
      ? random.pick(decisive)
      : random.chance(0.4)
        ? 'config'
        : random.pick(others);
    const some = new Set(world.nodes.filter(() => random.chance(0.5)).map((n) => n.name));
    garble(world, key, random.skewed(300, 20_000), random.chance(0.5) ? 'all' : some);
    const active = world.nodes.find((n) => n.open) ?? random.pick(world.nodes);
    const what = random.next();
    if (what < 0.25) killAgent(world, active, random.range(200, 3000));
    else if (what < 0.45) cutPower(world, active, random.range(3000, 25_000));
    else if (what < 0.6) freezeAgent(world, active, random.range(3000, 15_000));
    else if (what < 0.75) killPostmaster(world, active, random.chance(0.5) ? 0 : 8000);
    else if (what < 0.9) killAgent(world, random.pick(world.nodes), random.range(200, 3000));
  },
};
