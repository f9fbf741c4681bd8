/**
 * What the rest of the agent knows of Consul. The HTTP client and the in-memory fake of the tests implement
 * the same three interfaces (the third is in port_catalog.ts), and one contract suite runs on both.
 *
 * Nothing here throws for what a network or a server may do: an outcome is a value. `unknown` says that
 * the answer never came or cannot be trusted; it is never to be read as "absent", "free" or "failed".
 */

/** Why a call has no trustworthy answer. */
export interface ConsulFailure {
  /**
   * `unreachable`: no connection could be made; `timeout`; `broken`: the connection ended before a whole
   * answer; `server_error`: 5xx or 429; `denied`: 401 or 403; `bad_answer`: an answer Consul would not give;
   * `cancelled`: by the caller's signal.
   */
  readonly code:
    | 'unreachable'
    | 'timeout'
    | 'broken'
    | 'server_error'
    | 'denied'
    | 'bad_answer'
    | 'cancelled';
  /** Of a write: false only when it certainly did not and will not happen. Of a read always false. */
  readonly maybeApplied: boolean;
  /** Base URL of the last server asked; empty when none was. */
  readonly server: string;
  readonly status?: number;
  /** In our own words: it goes to whoever asked the agent. */
  readonly message: string;
  /** What the server said, to tell its refusals apart by. May be of anything: never shown to anybody. */
  readonly said?: string;
}

export interface Unknown {
  readonly kind: 'unknown';
  readonly cause: ConsulFailure;
}

export interface CallOptions {
  /** For the whole call, over all servers tried, in ms. */
  readonly deadlineMs?: number;
  /** For one server, in ms. A server without a leader holds a request for 7 s: keep it well below. */
  readonly attemptMs?: number;
  readonly signal?: AbortSignal;
  /** `local`: the first server only, the node's own, whose view or agent is meant. */
  readonly target?: 'any' | 'local';
}

export interface ReadOptions extends CallOptions {
  /**
   * `default`: by the leader, which may have been deposed unnoticed for a moment; `consistent`: by a leader
   * that has asked a majority first; `stale`: whatever the server asked has, also without any leader. A stale
   * absence proves nothing: a server that has just joined, or lags, does not have the key yet (seen).
   */
  readonly consistency?: 'default' | 'consistent' | 'stale';
  /** Blocking query: wait until the answer's index is greater than this one. */
  readonly index?: number;
  /** How long a blocking query may wait, in ms (Consul adds up to a sixteenth). Counts beside deadlineMs. */
  readonly waitMs?: number;
}

export interface ReadMeta {
  /** X-Consul-Index, at least 1: what a blocking query continues from. Not a ModifyIndex. */
  readonly index: number;
  /** False: the answering server knew no leader (only possible with `stale`). */
  readonly knownLeader: boolean;
  /** Time since the answering server heard from the leader, in ms. */
  readonly lastContactMs: number;
  readonly server: string;
}

export interface KvEntry {
  readonly key: string;
  readonly value: string;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

export interface Present {
  readonly kind: 'ok';
  readonly entry: KvEntry;
  readonly meta: ReadMeta;
}

/** Consul itself said that there is no such key. */
export interface Absent {
  readonly kind: 'absent';
  readonly meta: ReadMeta;
}

export interface Listed {
  readonly kind: 'ok';
  /** In the order of their keys; empty when there are none. */
  readonly entries: readonly KvEntry[];
  readonly meta: ReadMeta;
}

export interface Done {
  readonly kind: 'ok';
}

export type TxnOp =
  | { readonly verb: 'set'; readonly key: string; readonly value: string }
  /** Writes if the ModifyIndex is `index`; 0 means: only if there is no such key. */
  | { readonly verb: 'cas'; readonly key: string; readonly value: string; readonly index: number }
  /** A missing key fails the transaction. */
  | { readonly verb: 'get'; readonly key: string }
  | { readonly verb: 'delete'; readonly key: string }
  /** A key that is already gone counts as deleted. */
  | { readonly verb: 'delete-cas'; readonly key: string; readonly index: number }
  /** A missing key fails the transaction, whatever the index. */
  | { readonly verb: 'check-index'; readonly key: string; readonly index: number }
  | { readonly verb: 'check-not-exists'; readonly key: string };

export interface TxnOk {
  readonly kind: 'ok';
  /** ModifyIndex after the transaction of each key that was set, read or checked by index. */
  readonly indexes: Readonly<Record<string, number>>;
  /** Values of the keys read with `get`. */
  readonly values: Readonly<Record<string, string>>;
}

/** Nothing was written. Every operation that failed is listed, by its place in the transaction. */
export interface TxnConflict {
  readonly kind: 'conflict';
  readonly errors: readonly { readonly opIndex: number; readonly what: string }[];
}

export interface WriteOptions extends CallOptions {
  /** Compare-and-set on this ModifyIndex; 0 = only if there is no such key. */
  readonly cas?: number;
}

/**
 * Keys and values. Values are strings (base64 on the wire).
 *
 * A write is sent at most once to any server that may have received it. `conflict` can still be one's own
 * earlier, unknown write: compare the value read back before concluding that somebody else wrote.
 * Writing the very value that is there changes nothing, its ModifyIndex included; a compare-and-set with the
 * right index is then `ok`.
 */
export interface ConsulKv {
  get(key: string, options?: ReadOptions): Promise<Present | Absent | Unknown>;
  /** All keys that begin with `prefix`. */
  recurse(prefix: string, options?: ReadOptions): Promise<Listed | Unknown>;
  put(key: string, value: string, options?: WriteOptions): Promise<Done | { kind: 'conflict' } | Unknown>;
  /** Deleting what is not there is `ok`, with and without `cas`. */
  delete(key: string, options?: WriteOptions): Promise<Done | { kind: 'conflict' } | Unknown>;
  /** All or nothing, at most 64 operations; all keys written get the same ModifyIndex. */
  txn(ops: readonly TxnOp[], options?: CallOptions): Promise<TxnOk | TxnConflict | Unknown>;
}

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal: AbortSignal;
  readonly consistency?: 'default' | 'consistent' | 'stale';
  /** How long one blocking query may stand, in ms. Default 60,000. */
  readonly waitMs?: number;
  /** Each failed query, before its back-off. The next answer is then delivered even if it is unchanged. */
  readonly onFailure?: (cause: ConsulFailure) => void;
}

/**
 * Follows keys by blocking queries. The callback gets the first answer, each change, and the first answer
 * after a failure; changes that follow closely may be seen as one. With `stale`, a change of server can
 * deliver an older state after a newer one: compare ModifyIndex. The promise resolves when the signal has
 * ended the watch, after the last callback; it never rejects for what Consul does. A callback must not throw.
 */
export interface ConsulWatch {
  key(key: string, onValue: (value: Present | Absent) => void, options: WatchOptions): Promise<void>;
  prefix(prefix: string, onValue: (value: Listed) => void, options: WatchOptions): Promise<void>;
}

export type { ConsulCatalog } from './port_catalog.ts';
