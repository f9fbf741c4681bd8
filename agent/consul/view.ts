/** From Consul's keys to the core's view, and from the core's transactions to Consul's. */
import * as v from 'valibot';
import type { TxnOp as CoreOp, TxnResult } from '../core/ports.ts';
import type { HistoryRecord, JoiningRecord, Kv, NodeRecord, StateRecord, View } from '../core/records.ts';
import type { ConsulKv, KvEntry, TxnOp } from './port.ts';
import {
  activeRecord,
  clusterRecord,
  configRecord,
  historyRecord,
  joiningRecord,
  leaseRecord,
  nodeRecord,
  requestRecord,
  stateRecord,
  syncRecord,
} from './records.ts';

/** Thrown for a value that is not what its key should hold: the whole read is then unknown. */
export class BadRecord extends Error {
  readonly key: string;
  constructor(key: string, cause: unknown) {
    super(`the value of ${key} is not understood`, { cause });
    this.key = key;
  }
}

/** What was decoded last per key: most keys are the same from one read to the next, and decoding is most of the cost. */
export type DecodeCache = Map<string, { index: number; value: unknown }>;

export function viewOf(entries: readonly KvEntry[], prefix: string, index: number, cache: DecodeCache): View {
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
  for (const entry of entries) {
    const key = entry.key.slice(prefix.length);
    const slash = key.indexOf('/');
    const name = slash < 0 ? '' : key.slice(slash + 1);
    switch (slash < 0 ? key : key.slice(0, slash)) {
      case 'next_master':
        view.lease = decode(entry, leaseRecord, cache);
        break;
      case 'cluster':
        view.cluster = decode(entry, clusterRecord, cache);
        break;
      case 'sync':
        view.sync = decode(entry, syncRecord, cache);
        break;
      case 'active':
        view.active = decode(entry, activeRecord, cache);
        break;
      case 'request':
        view.request = decode(entry, requestRecord, cache);
        break;
      case 'config':
        view.config = decode(entry, configRecord, cache);
        break;
      case 'nodes':
        view.nodes[name] = decode<NodeRecord>(entry, nodeRecord, cache).value;
        break;
      case 'joining':
        view.joining ??= {};
        view.joining[name] = decode<JoiningRecord>(entry, joiningRecord, cache).value;
        break;
      case 'state':
        view.states[name] = decode<StateRecord>(entry, stateRecord, cache).value;
        break;
      case 'removed':
        view.removed.push(name);
        break;
      case 'history':
        view.history.push(decode<HistoryRecord>(entry, historyRecord, cache).value);
        break;
    }
  }
  view.history.sort((a, b) => a.epoch - b.epoch);
  return view;
}

function decode<T>(entry: KvEntry, schema: v.GenericSchema<T>, cache: DecodeCache): Kv<T> {
  const known = cache.get(entry.key);
  if (known !== undefined && known.index === entry.modifyIndex)
    return { value: known.value as T, index: entry.modifyIndex };
  let value: T;
  try {
    value = v.parse(schema, JSON.parse(entry.value));
  } catch (cause) {
    throw new BadRecord(entry.key, cause);
  }
  cache.set(entry.key, { index: entry.modifyIndex, value });
  return { value, index: entry.modifyIndex };
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

/** The core's `consul` port on a real client. `attemptMs`: how long one server may take (PROTOCOL B.4). */
export function consulPort(kv: ConsulKv, prefix: string, bad: (thrown: unknown) => void) {
  const cache: DecodeCache = new Map();
  const view = (entries: readonly KvEntry[], index: number): View | 'unknown' => {
    try {
      return viewOf(entries, prefix, index, cache);
    } catch (thrown) {
      bad(thrown);
      return 'unknown';
    }
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
      // A server that was frozen as the leader goes on answering from its past: what is wiped by this must not be so.
      const read = await kv.recurse(prefix, {
        consistency: 'consistent',
        deadlineMs: ms,
        attemptMs: Math.max(200, ms / 2),
      });
      return read.kind === 'ok' ? view(read.entries, read.meta.index) : 'unknown';
    },
    async txn(ops: CoreOp[], ms: number): Promise<TxnResult> {
      const result = await kv.txn(
        ops.map((op) => wireOp(op, prefix)),
        { deadlineMs: ms, attemptMs: Math.max(200, ms / 2) },
      );
      if (result.kind === 'ok') return { kind: 'ok', index: Math.max(...Object.values(result.indexes)) };
      return { kind: result.kind === 'conflict' ? 'conflict' : 'unknown' };
    },
  };
}
