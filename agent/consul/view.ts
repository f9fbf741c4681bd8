/** From Consul's keys to the core's view, and from the core's transactions to Consul's. */
import * as v from 'valibot';
import { nodeName } from '../config/fields.ts';
import type { TxnOp as CoreOp, TxnResult } from '../core/ports.ts';
import type { View } from '../core/records.ts';
import { unknownNode } from '../core/unreadable.ts';
import { isMembershipKey } from './acl.ts';
import { type DecodeCache, type Decoded, decode, forgetOthers } from './decode.ts';
import { type Gate, OPEN_GATE } from './gate.ts';
import type { ConsulKv, KvEntry, TxnOp } from './port.ts';
import {
  activeRecord,
  clusterRecord,
  configRecord,
  gossipRecord,
  historyRecord,
  joiningRecord,
  leaseRecord,
  nodeRecord,
  requestRecord,
  stateRecord,
  syncRecord,
} from './records.ts';

export type { DecodeCache } from './decode.ts';

/** No index that Consul ever gives: a write on condition of a value that was not understood is refused. */
const NOT_UNDERSTOOD = Number.MAX_SAFE_INTEGER;
/**
 * One bad value is one unreadable key: named, and what was last understood of it stands where a member or
 * `sync` is concerned. A record that the gate refuses is one too.
 */
export function viewOf(
  entries: readonly KvEntry[],
  prefix: string,
  index: number,
  cache: DecodeCache,
  gate: Gate = OPEN_GATE,
): View {
  const unreadable: Record<string, string> = {};
  const view: View = {
    index,
    lease: null,
    cluster: null,
    sync: null,
    active: null,
    request: null,
    config: null,
    nodes: {},
    states: {},
    removed: [],
    history: [],
  };
  gate.learn(entries, prefix);
  forgetOthers(cache, entries);
  const strangers: string[] = [];
  for (const entry of entries) {
    const key = entry.key.slice(prefix.length);
    const slash = key.indexOf('/');
    const name = slash < 0 ? '' : key.slice(slash + 1);
    const folder = slash < 0 ? key : key.slice(0, slash);
    const schema = schemas[folder];
    if (name === '__proto__' || (schema === undefined && folder !== 'removed')) continue;
    // It becomes a slot, a voter and a host name. No manager was ever admitted under such a name: it is no
    // member either.
    if (BY_NODE.has(folder) && !v.is(aNodeName, name)) {
      unreadable[printable(key)] = 'that is not a node name';
      continue;
    }
    if (folder === 'removed') view.removed.push(name);
    if (schema === undefined) continue;
    const found = decode(entry, schema, cache, folder, name, gate);
    if (found.why !== undefined) unreadable[key] = found.why;
    if (folder === 'nodes' && found.value === undefined && !gate.isMember(name)) strangers.push(name);
    else put(view, folder, name, found, found.why === undefined);
  }
  // No voter vanishes by what somebody writes over its record.
  for (const name of strangers) if (isRelied(view, name)) view.nodes[name] = unknownNode();
  view.history.sort((a, b) => a.epoch - b.epoch);
  if (Object.keys(unreadable).length > 0) view.unreadable = unreadable;
  return view;
}

/** Does the lease or a list of voters name it? */
const isRelied = ({ sync, lease }: View, name: string): boolean =>
  lease?.value.holder === name ||
  sync?.value.leader === name ||
  sync?.value.voters.some(({ node }) => node === name) === true;

const BY_NODE: ReadonlySet<string> = new Set(['nodes', 'joining', 'state', 'removed']);
const aNodeName = nodeName();

/** For the log and a terminal. */
const printable = (key: string): string => key.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);

const schemas: Record<string, v.GenericSchema<unknown>> = Object.assign(Object.create(null), {
  next_master: leaseRecord,
  cluster: clusterRecord,
  sync: syncRecord,
  active: activeRecord,
  request: requestRecord,
  config: configRecord,
  nodes: nodeRecord,
  joining: joiningRecord,
  state: stateRecord,
  history: historyRecord,
  // Not part of the view: named when it cannot be read, and read where the key is taken over.
  gossip: gossipRecord,
});

function put(view: View, folder: string, name: string, found: Decoded, understood: boolean): void {
  // biome-ignore lint/suspicious/noExplicitAny: the schema of the folder has checked it
  const value = found.value as any;
  const kv = { value, index: understood ? found.index : NOT_UNDERSTOOD };
  if (folder === 'nodes') view.nodes[name] = value ?? unknownNode();
  else if (folder === 'sync' || folder === 'config' || folder === 'cluster')
    view[folder] = value === undefined ? null : kv;
  else if (!understood) return;
  else if (folder === 'next_master') view.lease = kv;
  else if (folder === 'active' || folder === 'request') view[folder] = kv;
  else if (folder === 'joining') view.joining = { ...view.joining, [name]: value };
  else if (folder === 'state') view.states[name] = value;
  else if (folder === 'history') view.history.push(value);
}

function wireOp(op: CoreOp, prefix: string): TxnOp {
  const key = `${prefix}${op.key}`;
  switch (op.verb) {
    case 'cas':
      return { verb: 'cas', key, value: JSON.stringify(op.value), index: op.index };
    case 'set':
      return { verb: 'set', key, value: JSON.stringify(op.value) };
    case 'delete':
      return { verb: 'delete', key };
    case 'check-index':
      return op.index === 0
        ? { verb: 'check-not-exists', key }
        : { verb: 'check-index', key, index: op.index };
  }
}

/**
 * The core's `consul` port on a real client. `attemptMs`: how long one server may take (PROTOCOL B.4). `bad`
 * is told of each value that is not understood, once. `memberKv` may write who is a member: with the
 * management token. `gate`: which records count.
 */
export function consulPort(
  kv: ConsulKv,
  prefix: string,
  bad: (key: string, why: string) => void,
  memberKv: ConsulKv = kv,
  gate: Gate = OPEN_GATE,
) {
  const cache: DecodeCache = new Map();
  let told: Record<string, string> = {};
  const view = (entries: readonly KvEntry[], index: number): View => {
    const seen = viewOf(entries, prefix, index, cache, gate);
    const now = seen.unreadable ?? {};
    for (const [key, why] of Object.entries(now)) if (told[key] !== why) bad(key, why);
    told = now;
    return seen;
  };
  return {
    async watch(index: number, ms: number): Promise<View | 'unknown'> {
      const read = await kv.recurse(
        prefix,
        index === 0
          ? { deadlineMs: ms, attemptMs: ms / 2 }
          : { index, waitMs: ms, deadlineMs: 1000, attemptMs: 1000 },
      );
      return read.kind === 'ok' ? view(read.entries, read.meta.index) : 'unknown';
    },
    async read(ms: number): Promise<View | 'unknown'> {
      // A server that was frozen as the leader goes on answering from its past: what is wiped by this must
      // not be so.
      const read = await kv.recurse(prefix, {
        consistency: 'consistent',
        deadlineMs: ms,
        attemptMs: Math.max(200, ms / 2),
      });
      return read.kind === 'ok' ? view(read.entries, read.meta.index) : 'unknown';
    },
    async txn(ops: CoreOp[], ms: number): Promise<TxnResult> {
      const writes = ops.some(({ verb, key }) => verb !== 'check-index' && isMembershipKey(key));
      const result = await (writes ? memberKv : kv).txn(
        ops.map((op) => wireOp(op, prefix)),
        { deadlineMs: ms, attemptMs: Math.max(200, ms / 2) },
      );
      if (result.kind === 'ok') return { kind: 'ok', index: Math.max(...Object.values(result.indexes)) };
      return { kind: result.kind === 'conflict' ? 'conflict' : 'unknown' };
    },
  };
}
