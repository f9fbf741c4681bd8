/**
 * Consul in memory for tests: the agent's interfaces on a shared store, with faults on demand and no timers.
 */
import type {
  Absent,
  CallOptions,
  ConsulKv,
  ConsulWatch,
  Done,
  Listed,
  Present,
  ReadMeta,
  ReadOptions,
  TxnConflict,
  TxnOk,
  TxnOp,
  Unknown,
  WriteOptions,
} from '../../agent/consul/port.ts';
import type { ConsulCatalog } from '../../agent/consul/port_catalog.ts';
import { KvWatch } from '../../agent/consul/watch.ts';
import { FakeCatalog, FakeCatalogState } from './consul_catalog.ts';
import { FakeFaults, unknown } from './consul_faults.ts';
import { FakeStore } from './consul_store.ts';

export interface FakeClient {
  readonly kv: ConsulKv;
  readonly watch: ConsulWatch;
  readonly catalog: ConsulCatalog;
  /** Of this client alone: another node's client goes on. */
  readonly faults: FakeFaults;
}

export class FakeConsul {
  readonly store = new FakeStore();
  readonly state: FakeCatalogState;
  /** False: reads answer X-Consul-Knownleader: false. */
  knownLeader = true;

  constructor(options: { readonly nodes?: readonly string[]; readonly now?: () => number } = {}) {
    this.state = new FakeCatalogState(options.nodes ?? ['node-1'], options.now ?? (() => 0));
  }

  /** What one node sees of the cluster. */
  client(node = 'node-1'): FakeClient {
    const faults = new FakeFaults();
    const kv = new FakeKv(this, faults);
    // Back-off costs no time: the next attempt is a turn of the event loop away.
    const sleep = (_ms: number, signal: AbortSignal): Promise<void> =>
      signal.aborted ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, 0));
    const watch = new KvWatch(kv, { sleep, random: () => 0 });
    return { kv, watch, catalog: new FakeCatalog(this.state, node, faults), faults };
  }
}

class FakeKv implements ConsulKv {
  readonly #consul: FakeConsul;
  readonly #faults: FakeFaults;

  constructor(consul: FakeConsul, faults: FakeFaults) {
    this.#consul = consul;
    this.#faults = faults;
  }

  get(key: string, options: ReadOptions = {}): Promise<Present | Absent | Unknown> {
    return this.#read(options, () => {
      const { entry, index } = this.#consul.store.get(key);
      const meta = this.#meta(index);
      return entry === undefined ? { kind: 'absent', meta } : { kind: 'ok', entry, meta };
    });
  }

  recurse(prefix: string, options: ReadOptions = {}): Promise<Listed | Unknown> {
    return this.#read(options, () => {
      const { entries, index } = this.#consul.store.list(prefix);
      return { kind: 'ok', entries, meta: this.#meta(index) };
    });
  }

  put(
    key: string,
    value: string,
    options: WriteOptions = {},
  ): Promise<Done | { kind: 'conflict' } | Unknown> {
    return this.#single(
      options.cas === undefined
        ? { verb: 'set', key, value }
        : { verb: 'cas', key, value, index: options.cas },
      options,
    );
  }

  delete(key: string, options: WriteOptions = {}): Promise<Done | { kind: 'conflict' } | Unknown> {
    return this.#single(
      options.cas === undefined ? { verb: 'delete', key } : { verb: 'delete-cas', key, index: options.cas },
      options,
    );
  }

  async txn(ops: readonly TxnOp[], options: CallOptions = {}): Promise<TxnOk | TxnConflict | Unknown> {
    const write = ops.some((op) => op.verb !== 'get');
    return this.#faults.carryOut(write, options, () => this.#consul.store.txn(ops));
  }

  async #single(op: TxnOp, options: CallOptions): Promise<Done | { kind: 'conflict' } | Unknown> {
    return short(await this.txn([op], options));
  }

  /**
   * A blocking query stands until the index is greater, the caller cancels, or the server becomes
   * unreachable.
   */
  async #read<T extends { readonly meta: ReadMeta }>(
    options: ReadOptions,
    look: () => T,
  ): Promise<T | Unknown> {
    const { signal, index = 0 } = options;
    const first = await this.#faults.carryOut(false, options, look);
    if (isUnknown(first) || index === 0 || first.meta.index > index) return first;
    return new Promise((resolve) => {
      const settle = (outcome: T | Unknown): void => {
        stopStore();
        stopFaults();
        signal?.removeEventListener('abort', onAbort);
        resolve(outcome);
      };
      const onAbort = (): void => settle(unknown('cancelled', false));
      const onChange = (): void => {
        const value = look();
        // Lower: the store was restored, and the real one then answers too.
        if (value.meta.index !== first.meta.index) settle(value);
      };
      const stopStore = this.#consul.store.onChange(onChange);
      const stopFaults = this.#faults.onUnavailable(() => settle(unknown('broken', false)));
      signal?.addEventListener('abort', onAbort, { once: true });
      // What happened since the first look.
      if (signal?.aborted === true) onAbort();
      else onChange();
    });
  }

  #meta(index: number): ReadMeta {
    return {
      index: Math.max(1, index),
      knownLeader: this.#consul.knownLeader,
      lastContactMs: 0,
      server: 'fake',
    };
  }
}

function short(outcome: TxnOk | TxnConflict | Unknown): Done | { kind: 'conflict' } | Unknown {
  if (outcome.kind === 'unknown') return outcome;
  return { kind: outcome.kind };
}

function isUnknown(value: { readonly meta: ReadMeta } | Unknown): value is Unknown {
  return !('meta' in value);
}
