/**
 * The world as the core's procedures see it: calls as data. A procedure is a generator that yields `Call`s;
 * the agent runs them against the real parts (agent/node/drive.ts), the simulator against its model on
 * virtual time. Nothing in here waits, reads a clock or throws for an expected outcome.
 */

import type { Durable } from './durable.ts';
import type {
  Fork,
  Lsn,
  Outcome,
  PgFacts,
  Position,
  StopOutcome,
  SyncList,
  Upstream,
  WalSender,
} from './postgres.ts';
import type { StateRecord, View } from './records.ts';

export type TxnOp =
  | { verb: 'cas'; key: string; value: unknown; index: number }
  | { verb: 'set'; key: string; value: unknown }
  | { verb: 'delete'; key: string }
  | { verb: 'check-index'; key: string; index: number };

/**
 * Keys are relative to `cloudify/cluster/`. `index` is the ModifyIndex of every key the transaction wrote.
 */
export type TxnResult = { kind: 'ok'; index: number } | { kind: 'conflict' } | { kind: 'unknown' };

export type VoteRequest = { index: number; candidate: string };
export type Vote = { node: string; clone: string; timeline: number; lsn: Lsn; history: Fork[] };
export type VoteReply = { kind: 'vote'; vote: Vote } | { kind: 'refused'; why: string } | { kind: 'unknown' };

/** The holder asks whether every member still takes it for the active, while Consul is silent. */
export type FailsafeRequest = { holder: string; instance: string; epoch: number };

export type PeerState = { replayed: Lsn; timeline: number; streaming: boolean };

export type ServiceFacts = {
  /** Active-only services of this manager that run, and those that do not. */
  running: string[];
  missing: string[];
  /** Services of this manager on every role that do not run. */
  missingAlways: string[];
};

/**
 * The manager's replicated files, as last seen (CONTRACTS 10). 'off': none are configured. 'unknown':
 * configured, and not known right now. The counts are what this node lacks of what the others have, as far as
 * it knows.
 */
export type FileMode = 'sendonly' | 'receiveonly' | 'unknown';

export type FileFacts = {
  /**
   * Of a standby: is its own copy what the cluster holds? `unknown`: Syncthing does not answer, or no active
   * was ever heard. Of the active: `complete`, unless a folder cannot be used or items of it cannot be sent.
   * `off`: no files are replicated.
   */
  state: 'off' | 'complete' | 'behind' | 'unknown';
  /** Items (files, folders, links, held deletions) and bytes this node still lacks. */
  needItems: number;
  needBytes: number;
  /** Items and folders that Syncthing gave up on, and local changes that no revert takes away. */
  errors: number;
  mode: FileMode;
  /**
   * Of an active: what it has and no other can be sent, in words with the first names. They count among
   * `needItems`.
   */
  unsent?: string;
};

export const NO_FILES: FileFacts = {
  state: 'off',
  needItems: 0,
  needBytes: 0,
  errors: 0,
  mode: 'unknown',
};

/** The check-runner's word on this manager. */
export type CheckSummary = {
  /** Critical checks that have failed `fall` times in a row. */
  failing: string[];
  /** Critical checks that failed, but not often enough yet. */
  weak: string[];
  /** `warning`: good, but worth a look, or it failed and not often enough yet; left out when it is not so. */
  all: Record<string, { ok: boolean; output: string; warning?: boolean }>;
};

export type Ports = {
  consul: {
    /**
     * Blocks until something below the prefix is newer than `index`, at most `ms`; then one consistent view.
     */
    watch(index: number, ms: number): View | 'unknown';
    read(ms: number): View | 'unknown';
    txn(ops: TxnOp[], ms: number): TxnResult;
  };
  pg: {
    facts(ms: number): PgFacts;
    startStandby(ms: number): Outcome;
    startPrimary(ms: number): Outcome;
    stop(mode: 'fast' | 'immediate', ms: number, thenStandby: boolean): StopOutcome;
    checkpoint(ms: number): Outcome;
    promote(ms: number): Outcome & { timeline?: number };
    setUpstream(upstream: Upstream | null, ms: number): Outcome;
    setSyncList(list: SyncList, ms: number): Outcome;
    replication(ms: number): { insert: Lsn; timeline: number; senders: WalSender[] } | null;
    position(ms: number): Position | null;
    history(tli: number): Fork[] | null;
    reserveTimelines(next: number): Outcome;
    ensureSlots(names: string[], ms: number): Outcome;
    /**
     * The long tasks. They report progress on their own; here only their end is seen. `clone` is the new
     * identity.
     */
    rebuild(how: 'rewind' | 'reclone', from: Upstream, clone: string): Outcome;
    /** Ends a rebuild that runs: it then answers 'failed'. None runs: done. */
    cancelRebuild(): Outcome;
    saveDivergence(epoch: number, fork: Fork | null, reason: string): Outcome;
  };
  fence: {
    /** Shut clients out, their connections too; confirmed. */
    close(ms: number): Outcome;
    /**
     * Let clients in until the monotonic time `until` at the latest (the kernel lease keeps it where there is
     * one).
     */
    open(until: number, ms: number): Outcome;
    /**
     * The right was extended: the kernel lease may stand until then. Where there is none: done, at no cost.
     * Failed: it ends at the last `until` that was confirmed. Bounds its own time. Not `known`: whether
     * clients are let in is not known yet; what is shut stays shut, and failed says nothing.
     */
    extend(until: number, known: boolean): Outcome;
  };
  services: {
    facts(): ServiceFacts;
    /** Start the active-only services in order; returns when all run or one failed. */
    up(ms: number): Outcome;
    /** Stops them within `ms`, killing what is left; an `up` under way ends, and starts nothing any more. */
    down(ms: number): Outcome;
    repair(names: string[], ms: number): Outcome;
  };
  files: {
    /** What was last seen; never waits. */
    facts(): FileFacts;
    /**
     * This node is the active: send-only, what it has overrides the others' copies, rescan. Idempotent;
     * 'off': done.
     */
    lead(ms: number): Outcome;
    /**
     * Receive-only, from `active` once it is known; local changes are archived, then reverted. Idempotent;
     * 'off': done.
     */
    follow(active: string | null, ms: number): Outcome;
    /**
     * On the active in a switchover, services stopped: scan, and wait until the copy of `target` is complete.
     */
    settle(target: string, ms: number): Outcome;
  };
  hooks: {
    run(
      phase: 'pre-promote' | 'post-promote' | 'pre-demote' | 'post-demote' | 'follow',
      facts: Record<string, string>,
    ): Outcome;
  };
  peers: {
    /**
     * Ask all of them at once; an entry per node. Returns as soon as all have answered, `ms` at the latest.
     */
    votes(nodes: string[], request: VoteRequest, ms: number): Record<string, VoteReply>;
    state(node: string, ms: number): PeerState | null;
    /** Asks all of them at once; who agreed. */
    failsafe(nodes: string[], request: FailsafeRequest, ms: number): string[];
  };
  store: { save(durable: Durable): void };
  state: { publish(state: StateRecord, ms: number): void };
  time: {
    /** Sleep `ms`, or until the node is woken. */
    nap(ms: number): void;
    sleep(ms: number): void;
    /** Take the named lock of this node; released with `unlock` (synchronous). */
    lock(name: LockName): void;
  };
};

export type HookPhase = Parameters<Ports['hooks']['run']>[0];

export type LockName = 'lease' | 'upstream' | 'control';

type AnyCall = {
  [P in keyof Ports]: {
    [M in keyof Ports[P]]: {
      port: P;
      method: M;
      args: Ports[P][M] extends (...args: infer A) => unknown ? A : never;
    };
  }[keyof Ports[P]];
}[keyof Ports];

/** One step of a procedure: what to do in the world. The answer comes back from `yield`. */
export type Call = AnyCall;
/**
 * A procedure: yields calls, returns its result. May be dropped between any two calls (a crash, an
 * interruption).
 */
// biome-ignore lint/suspicious/noExplicitAny: the answer's type belongs to the call, which `call` restores
export type Procedure<T> = Generator<Call, T, any>;

type Fn<P extends keyof Ports, M extends keyof Ports[P]> = Ports[P][M] extends (...args: infer A) => infer R
  ? { args: A; result: R }
  : never;

export function* call<P extends keyof Ports, M extends keyof Ports[P] & string>(
  port: P,
  method: M,
  ...args: Fn<P, M>['args']
): Procedure<Fn<P, M>['result']> {
  return (yield { port, method, args } as unknown as Call) as Fn<P, M>['result'];
}
