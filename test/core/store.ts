/** `cloudify/cluster/` in memory, with Consul's compare-and-set and one index for all keys. */
import type { TxnOp, TxnResult } from '../../agent/core/ports.ts';
import type { HistoryRecord, Kv, LeaseRecord, SyncRecord, View } from '../../agent/core/records.ts';
import { leaseRecord, MEMBERS, nodeRecord, stateRecord, syncRecord } from './build.ts';

export class Store {
  index = 100;
  private keys = new Map<string, Kv<unknown>>();

  constructor() {
    this.put('cluster', { schema: 1, id: 'cluster', incarnation: 1, systemId: 'sys' });
    this.put('sync', syncRecord());
    for (const name of MEMBERS) {
      this.put(`nodes/${name}`, nodeRecord(name));
      this.put(`state/${name}`, stateRecord(name));
    }
    this.put('next_master', leaseRecord());
  }

  /** Written by somebody else. */
  put(key: string, value: unknown): number {
    this.index += 1;
    this.keys.set(key, { value, index: this.index });
    return this.index;
  }

  drop(key: string): void {
    this.index += 1;
    this.keys.delete(key);
  }

  get lease(): LeaseRecord {
    return this.get<LeaseRecord>('next_master')?.value as LeaseRecord;
  }

  get sync(): SyncRecord {
    return this.get<SyncRecord>('sync')?.value as SyncRecord;
  }

  get<T>(key: string): Kv<T> | null {
    return (this.keys.get(key) as Kv<T> | undefined) ?? null;
  }

  txn(ops: TxnOp[]): TxnResult {
    const met = ops.every((op) => {
      if (op.verb !== 'cas' && op.verb !== 'check-index') return true;
      return (this.keys.get(op.key)?.index ?? 0) === op.index;
    });
    if (!met) return { kind: 'conflict' };
    this.index += 1;
    for (const op of ops) {
      if (op.verb === 'cas' || op.verb === 'set')
        this.keys.set(op.key, { value: structuredClone(op.value), index: this.index });
      if (op.verb === 'delete') this.keys.delete(op.key);
    }
    return { kind: 'ok', index: this.index };
  }

  view(): View {
    const below = <T>(prefix: string): Record<string, T> =>
      Object.fromEntries(
        [...this.keys]
          .filter(([key]) => key.startsWith(prefix))
          .map(([key, kv]) => [key.slice(prefix.length), kv.value as T]),
      );
    return {
      index: this.index,
      lease: this.get('next_master'),
      cluster: this.get('cluster'),
      sync: this.get('sync'),
      active: this.get('active'),
      request: this.get('request'),
      config: this.get('config'),
      nodes: below('nodes/'),
      joining: below('joining/'),
      states: below('state/'),
      removed: Object.keys(below('removed/')),
      history: Object.values(below<HistoryRecord>('history/')),
    };
  }
}
