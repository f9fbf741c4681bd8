/** Consul's key-value store over HTTP. The contract is in port.ts. */
import { Buffer } from 'node:buffer';
import { metaOf, parse, readCall, unexpected } from './answers.ts';
import { keyPath } from './paths.ts';
import type {
  Absent,
  CallOptions,
  ConsulKv,
  Done,
  KvEntry,
  Listed,
  Present,
  ReadOptions,
  TxnConflict,
  TxnOk,
  TxnOp,
  Unknown,
  WriteOptions,
} from './port.ts';
import type { Call, ConsulTransport } from './transport.ts';

interface WireEntry {
  Key: string;
  Value: string | null;
  CreateIndex: number;
  ModifyIndex: number;
}

interface WireTxn {
  Results?: ({ KV?: WireEntry } | null)[] | null;
  Errors?: { OpIndex: number; What: string }[] | null;
}

const encode = (value: string): string => Buffer.from(value, 'utf8').toString('base64');
const decode = (value: string | null): string =>
  value === null ? '' : Buffer.from(value, 'base64').toString('utf8');

function entryOf(wire: WireEntry): KvEntry {
  return {
    key: wire.Key,
    value: decode(wire.Value),
    createIndex: wire.CreateIndex,
    modifyIndex: wire.ModifyIndex,
  };
}

const isEntry = (x: unknown): x is WireEntry =>
  typeof x === 'object' && x !== null && 'Key' in x && Number.isSafeInteger((x as WireEntry).ModifyIndex);

function wireOp(op: TxnOp): { KV: Record<string, unknown> } {
  const kv: Record<string, unknown> = { Verb: op.verb, Key: op.key };
  if ('value' in op) kv.Value = encode(op.value);
  if ('index' in op) kv.Index = op.index;
  return { KV: kv };
}

export class HttpKv implements ConsulKv {
  readonly #transport: ConsulTransport;

  constructor(transport: ConsulTransport) {
    this.#transport = transport;
  }

  async get(key: string, options: ReadOptions = {}): Promise<Present | Absent | Unknown> {
    const reply = await this.#transport.call(readCall(`/v1/kv/${keyPath(key)}`, options), options);
    if (reply.kind === 'unknown') return reply;
    const meta = metaOf(reply);
    if (meta === undefined) return unexpected(reply, false);
    if (reply.status === 404) return { kind: 'absent', meta };
    const rows = reply.status === 200 ? parse(reply) : undefined;
    const row: unknown = Array.isArray(rows) ? rows[0] : undefined;
    if (!isEntry(row) || row.Key !== key) return unexpected(reply, false);
    return { kind: 'ok', entry: entryOf(row), meta };
  }

  async recurse(prefix: string, options: ReadOptions = {}): Promise<Listed | Unknown> {
    const reply = await this.#transport.call(readCall(`/v1/kv/${keyPath(prefix)}?recurse`, options), options);
    if (reply.kind === 'unknown') return reply;
    const meta = metaOf(reply);
    if (meta === undefined) return unexpected(reply, false);
    if (reply.status === 404) return { kind: 'ok', entries: [], meta };
    const rows = reply.status === 200 ? parse(reply) : undefined;
    if (!Array.isArray(rows) || !rows.every(isEntry)) return unexpected(reply, false);
    return { kind: 'ok', entries: rows.map(entryOf), meta };
  }

  put(
    key: string,
    value: string,
    options: WriteOptions = {},
  ): Promise<Done | { kind: 'conflict' } | Unknown> {
    return this.#write(
      { method: 'PUT', path: `/v1/kv/${keyPath(key)}${casQuery(options)}`, body: value },
      options,
    );
  }

  delete(key: string, options: WriteOptions = {}): Promise<Done | { kind: 'conflict' } | Unknown> {
    return this.#write({ method: 'DELETE', path: `/v1/kv/${keyPath(key)}${casQuery(options)}` }, options);
  }

  async #write(call: Call, options: CallOptions): Promise<Done | { kind: 'conflict' } | Unknown> {
    const reply = await this.#transport.call(call, options);
    if (reply.kind === 'unknown') return reply;
    const said = reply.status === 200 ? reply.body.trim() : '';
    if (said === 'true') return { kind: 'ok' };
    return said === 'false' ? { kind: 'conflict' } : unexpected(reply, true);
  }

  async txn(ops: readonly TxnOp[], options: CallOptions = {}): Promise<TxnOk | TxnConflict | Unknown> {
    const body = JSON.stringify(ops.map(wireOp));
    const reply = await this.#transport.call({ method: 'PUT', path: '/v1/txn', body }, options);
    if (reply.kind === 'unknown') return reply;
    const wire =
      reply.status === 200 || reply.status === 409 ? (parse(reply) as WireTxn | null | undefined) : undefined;
    if (wire === undefined || wire === null || typeof wire !== 'object') return unexpected(reply, true);
    const errors = wire.Errors ?? [];
    if (reply.status === 409) {
      if (errors.length === 0) return unexpected(reply, true);
      return { kind: 'conflict', errors: errors.map((e) => ({ opIndex: e.OpIndex, what: e.What })) };
    }
    if (errors.length > 0 || !Array.isArray(wire.Results)) return unexpected(reply, true);
    return txnOk(ops, wire.Results);
  }
}

function casQuery(options: WriteOptions): string {
  return options.cas === undefined ? '' : `?cas=${options.cas}`;
}

/** Results come in the order of the operations, with none for a delete or a check-not-exists: go by key. */
function txnOk(ops: readonly TxnOp[], results: readonly ({ KV?: WireEntry } | null)[]): TxnOk {
  const read = new Set(ops.filter((op) => op.verb === 'get').map((op) => op.key));
  const indexes: Record<string, number> = {};
  const values: Record<string, string> = {};
  for (const result of results) {
    const row = result?.KV;
    if (!isEntry(row)) continue;
    indexes[row.Key] = row.ModifyIndex;
    // Other verbs than get answer with a null value, so an earlier one must not be overwritten by it.
    if (read.has(row.Key) && (row.Value !== null || !(row.Key in values)))
      values[row.Key] = decode(row.Value);
  }
  return { kind: 'ok', indexes, values };
}
