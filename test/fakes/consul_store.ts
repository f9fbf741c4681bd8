/**
 * What a Consul cluster keeps, in memory: one Raft index for everything, ModifyIndex and CreateIndex per key,
 * the table's own index, and deletions that are remembered for prefixes. Observed on Consul 1.8;
 * test/contract/consul.test.ts holds the real one and this one to the same.
 */
import type { KvEntry, TxnConflict, TxnOk, TxnOp } from '../../agent/consul/port.ts';

type Row = { value: string; created: number; modified: number };

export class FakeStore {
  /** Counts every write that reached Raft, also those that changed nothing. */
  raftIndex = 10;
  #rows = new Map<string, Row>();
  #deleted = new Map<string, number>();
  #tableIndex = 1;
  #waiting = new Set<() => void>();

  get(key: string): { entry: KvEntry | undefined; index: number } {
    const row = this.#rows.get(key);
    return { entry: row && entryOf(key, row), index: row?.modified ?? this.#tableIndex };
  }

  list(prefix: string): { entries: KvEntry[]; index: number } {
    const rows = [...this.#rows].filter(([key]) => key.startsWith(prefix));
    const gone = [...this.#deleted].filter(([key]) => key.startsWith(prefix));
    const newest = Math.max(0, ...rows.map(([, row]) => row.modified), ...gone.map(([, index]) => index));
    const entries = rows.map(([key, row]) => entryOf(key, row)).sort((a, b) => (a.key < b.key ? -1 : 1));
    return { entries, index: newest === 0 ? this.#tableIndex : newest };
  }

  /** All or nothing; each operation sees what those before it did. */
  txn(ops: readonly TxnOp[]): TxnOk | TxnConflict {
    const index = this.raftIndex + 1;
    if (ops.some((op) => !['get', 'check-index', 'check-not-exists'].includes(op.verb)))
      this.raftIndex = index;
    const rows = new Map(this.#rows);
    const deleted = new Map(this.#deleted);
    const errors: { opIndex: number; what: string }[] = [];
    const indexes: Record<string, number> = {};
    const values: Record<string, string> = {};
    for (const [opIndex, op] of ops.entries()) {
      const what = applyOp(rows, deleted, op, index);
      if (what !== undefined) errors.push({ opIndex, what });
      const row = rows.get(op.key);
      if (row === undefined || op.verb === 'check-not-exists') continue;
      indexes[op.key] = row.modified;
      if (op.verb === 'get') values[op.key] = row.value;
    }
    if (errors.length > 0) return { kind: 'conflict', errors };
    const changed = [...rows.values()].some((row) => row.modified === index) || rows.size !== this.#rows.size;
    this.#rows = rows;
    this.#deleted = deleted;
    if (changed) {
      this.#tableIndex = index;
      this.wake();
    }
    return { kind: 'ok', indexes, values };
  }

  /** Raft restored from an older copy: `index` and everything newer are gone. */
  restore(index: number, entries: readonly KvEntry[]): void {
    this.raftIndex = index;
    this.#tableIndex = index;
    this.#deleted.clear();
    this.#rows = new Map(
      entries.map((e) => [e.key, { value: e.value, created: e.createIndex, modified: e.modifyIndex }]),
    );
    this.wake();
  }

  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Calls back at each change until the returned function is called. */
  onChange(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }

  /** Blocking queries that stand: a test that ends with some has leaked them. */
  get standing(): number {
    return this.#waiting.size;
  }
}

function entryOf(key: string, row: Row): KvEntry {
  return { key, value: row.value, createIndex: row.created, modifyIndex: row.modified };
}

/** Changes the maps; the words for why not, else undefined. */
function applyOp(
  rows: Map<string, Row>,
  deleted: Map<string, number>,
  op: TxnOp,
  index: number,
): string | undefined {
  const row = rows.get(op.key);
  const name = `key "${op.key}"`;
  switch (op.verb) {
    case 'cas':
      if ((row?.modified ?? 0) !== op.index) return `failed to set ${name}, index is stale`;
      break;
    case 'delete-cas':
      if (row !== undefined && row.modified !== op.index) return `failed to delete ${name}, index is stale`;
      break;
    case 'get':
      return row === undefined ? `${name} doesn't exist` : undefined;
    case 'check-index':
      if (row === undefined) return `failed to check index, ${name} doesn't exist`;
      if (row.modified === op.index) return undefined;
      return `failed index check for ${name}, current modify index ${row.modified} != ${op.index}`;
    case 'check-not-exists':
      return row === undefined ? undefined : `${name} exists`;
  }
  if (op.verb === 'delete' || op.verb === 'delete-cas') {
    if (rows.delete(op.key)) deleted.set(op.key, index);
  } else if (row?.value !== op.value) {
    rows.set(op.key, { value: op.value, created: row?.created ?? index, modified: index });
  }
  return undefined;
}
