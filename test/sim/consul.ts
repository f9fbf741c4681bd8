/**
 * The modelled Consul state: linearizable, ModifyIndex per key, transactions that apply whole or not at all.
 * Views are shared and never changed in place, so that an old one can be served as a stale read.
 */
import type { TxnOp, TxnResult } from '../../agent/core/ports.ts';
import type { HistoryRecord, View } from '../../agent/core/records.ts';

type Entry = { value: unknown; index: number };
export type Commit = { at: number; by: string; index: number; ops: TxnOp[] };

export class ConsulStore {
  view: View;
  /** The views before the present one, newest last; only the last few. */
  readonly past: { until: number; view: View }[] = [];
  private keys = new Map<string, Entry>();
  private listeners: ((commit: Commit) => void)[] = [];

  constructor() {
    this.view = {
      index: 1,
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
  }

  onCommit(listener: (commit: Commit) => void): void {
    this.listeners.push(listener);
  }

  get(key: string): Entry | undefined {
    return this.keys.get(key);
  }

  /** Apply at once. `at` is true time, for the record. */
  txn(ops: TxnOp[], at: number, by: string): TxnResult {
    for (const op of ops) {
      const held = this.keys.get(op.key)?.index ?? 0;
      if (op.verb === 'cas' && held !== op.index) return { kind: 'conflict' };
      if (op.verb === 'check-index' && (held !== op.index || held === 0)) return { kind: 'conflict' };
    }
    const index = this.view.index + 1;
    let next: View | null = null;
    for (const op of ops) {
      if (op.verb === 'check-index') continue;
      if (op.verb === 'delete') {
        if (!this.keys.delete(op.key)) continue;
      } else {
        // Consul leaves the index alone when a write changes nothing.
        const held = this.keys.get(op.key);
        if (
          held !== undefined &&
          op.key !== 'next_master' &&
          !op.key.startsWith('state/') &&
          JSON.stringify(held.value) === JSON.stringify(op.value)
        )
          continue;
        this.keys.set(op.key, { value: op.value, index });
      }
      next ??= { ...this.view, index };
      this.put(next, op.key, op.verb === 'delete' ? undefined : op.value, index);
    }
    if (next === null) return { kind: 'ok', index: this.view.index };
    this.past.push({ until: at, view: this.view });
    if (this.past.length > 64) this.past.splice(0, 32);
    this.view = next;
    const commit = { at, by, index, ops };
    for (const listener of this.listeners) listener(commit);
    return { kind: 'ok', index };
  }

  /** What a reader `age` ms behind would see. */
  stale(now: number, age: number): View {
    for (const old of this.past) if (old.until > now - age) return old.view;
    return this.view;
  }

  private put(view: View, key: string, value: unknown, index: number): void {
    const slash = key.indexOf('/');
    const folder = slash < 0 ? key : key.slice(0, slash);
    const name = slash < 0 ? '' : key.slice(slash + 1);
    const kv = value === undefined ? null : { value: value as never, index };
    switch (folder) {
      case 'next_master':
        view.lease = kv;
        break;
      case 'cluster':
      case 'sync':
      case 'active':
      case 'request':
      case 'config':
        view[folder] = kv;
        break;
      case 'nodes':
        view.nodes = changed(view.nodes, name, value);
        break;
      case 'state':
        view.states = changed(view.states, name, value);
        break;
      case 'removed':
        view.removed = view.removed.filter((n) => n !== name);
        if (value !== undefined) view.removed.push(name);
        break;
      case 'history': {
        const record = value as HistoryRecord | undefined;
        const others = view.history.filter((h) => h.epoch !== Number(name));
        view.history =
          record === undefined ? others : [...others, record].sort((a, b) => a.epoch - b.epoch).slice(-30);
        break;
      }
      default:
        throw new Error(`the model knows no key ${key}`);
    }
  }
}

function changed<T>(record: Record<string, T>, name: string, value: unknown): Record<string, T> {
  const next = { ...record };
  if (value === undefined) delete next[name];
  else next[name] = value as T;
  return next;
}
