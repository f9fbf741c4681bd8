/**
 * What the rest of the agent knows of Consul. The HTTP client and the in-memory fake of the tests implement
 * the same three interfaces, and one contract suite runs on both.
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
  readonly code: 'unreachable' | 'timeout' | 'broken' | 'server_error' | 'denied' | 'bad_answer' | 'cancelled';
  /** Of a write: false only when it certainly did not and will not happen. Of a read always false. */
  readonly maybeApplied: boolean;
  /** Base URL of the last server asked; empty when none was. */
  readonly server: string;
  readonly status?: number;
  readonly message: string;
}

export interface Unknown {
  readonly kind: 'unknown';
  readonly cause: ConsulFailure;
}

export interface CallOptions {
  /** For the whole call, over all servers tried, in ms. */
  readonly deadlineMs?: number;
  /** For one server, in ms. A server without a leader holds a request for 7 s: keep it well below that. */
  readonly attemptMs?: number;
  readonly signal?: AbortSignal;
  /** `local`: the first server only, the node's own, whose view or agent is meant. */
  readonly target?: 'any' | 'local';
}

export interface ReadOptions extends CallOptions {
  /**
   * `default`: by the leader, which may have been deposed unnoticed for a moment; `consistent`: by a leader
   * that has asked a majority first; `stale`: whatever the server asked has, also without any leader.
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
  /** Compare-and-set on this ModifyIndex; 0 = create only (put), never true (delete). */
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
 * Follows keys by blocking queries. The callback gets the first answer, each change, and the first answer after a
 * failure; changes that follow closely may be seen as one. With `stale`, a change of server can deliver an
 * older state after a newer one: compare ModifyIndex. The promise resolves when the signal has ended the
 * watch, after the last callback; it never rejects for what Consul does. A callback must not throw.
 */
export interface ConsulWatch {
  key(key: string, onValue: (value: Present | Absent) => void, options: WatchOptions): Promise<void>;
  prefix(prefix: string, onValue: (value: Listed) => void, options: WatchOptions): Promise<void>;
}

export type CheckStatus = 'passing' | 'warning' | 'critical';

export interface TtlCheck {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  /** Until the first update. Default critical. */
  readonly status?: CheckStatus;
}

export interface ServiceRegistration {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port?: number;
  readonly tags: readonly string[];
  readonly checks: readonly TtlCheck[];
}

export interface HealthCheck {
  readonly id: string;
  readonly name: string;
  /** Empty for a check of the node itself, such as serfHealth. */
  readonly serviceId: string;
  readonly status: CheckStatus;
  readonly output: string;
}

export interface ServiceInstance {
  readonly node: string;
  readonly nodeAddress: string;
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly checks: readonly HealthCheck[];
}

export interface Member {
  readonly name: string;
  readonly address: string;
  /** Serf's view from the agent that was asked. */
  readonly status: 'none' | 'alive' | 'leaving' | 'left' | 'failed';
  readonly server: boolean;
  readonly nodeId: string;
}

export interface RaftServer {
  readonly id: string;
  readonly node: string;
  /** IP:port. */
  readonly address: string;
  readonly leader: boolean;
  readonly voter: boolean;
}

export interface AutopilotSettings {
  readonly cleanupDeadServers: boolean;
  readonly serverStabilizationMs: number;
}

export interface AgentSelf {
  readonly nodeName: string;
  readonly nodeId: string;
  readonly datacenter: string;
  readonly version: string;
  readonly server: boolean;
}

export interface Value<T> {
  readonly kind: 'ok';
  readonly value: T;
}

/** Services, members and operator calls. What speaks of the agent itself goes to the local one only. */
export interface ConsulCatalog {
  /** Idempotent; replaces tags and checks. Checks never deregister their service: a node down stays listed. */
  registerService(service: ServiceRegistration, options?: CallOptions): Promise<Done | Unknown>;
  /** Idempotent. */
  deregisterService(id: string, options?: CallOptions): Promise<Done | Unknown>;
  /** `absent`: the local agent does not know the check (a new data folder): register the service again. */
  updateTtl(
    checkId: string,
    status: CheckStatus,
    output: string,
    options?: CallOptions,
  ): Promise<Done | { kind: 'absent' } | Unknown>;
  /** Every instance with its checks, and those of its node. */
  serviceHealth(name: string, options?: ReadOptions): Promise<Value<readonly ServiceInstance[]> | Unknown>;
  members(options?: CallOptions): Promise<Value<readonly Member[]> | Unknown>;
  /** Address of the Raft leader as the asked server sees it; undefined when it sees none. */
  leader(options?: CallOptions): Promise<Value<string | undefined> | Unknown>;
  /** Addresses in the Raft configuration. */
  peers(options?: CallOptions): Promise<Value<readonly string[]> | Unknown>;
  raftConfiguration(options?: ReadOptions): Promise<Value<readonly RaftServer[]> | Unknown>;
  /** `absent`: no such server in the Raft configuration (also the answer to a repetition). */
  removeRaftPeer(id: string, options?: CallOptions): Promise<Done | { kind: 'absent' } | Unknown>;
  /** `absent`: Serf knows no such node. With `prune` it vanishes from the member list. */
  forceLeave(
    node: string,
    options?: CallOptions & { readonly prune?: boolean },
  ): Promise<Done | { kind: 'absent' } | Unknown>;
  autopilot(options?: ReadOptions): Promise<Value<AutopilotSettings> | Unknown>;
  /**
   * Reads, writes by compare-and-set what differs, reads back. `ok` only when the settings stand; `changed`
   * says whether a write was needed. Idempotent: repeat after `conflict` and `unknown`.
   */
  ensureAutopilot(
    settings: AutopilotSettings,
    options?: CallOptions,
  ): Promise<{ kind: 'ok'; changed: boolean } | { kind: 'conflict' } | Unknown>;
  self(options?: CallOptions): Promise<Value<AgentSelf> | Unknown>;
}
