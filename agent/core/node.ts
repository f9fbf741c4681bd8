/**
 * What one agent remembers while it runs. Shared by its processes (watcher, keeper, guard, main, voter), which run
 * one step at a time, so that everything between two calls is atomic.
 */
import type { CheckSummary } from './facts.ts';
import { type LeaseTimes, timesOf } from './lease_times.ts';
import { emptyLease, type LeaseView } from './lease_view.ts';
import type { Policy } from './policy.ts';
import { type FileFacts, type LockName, NO_FILES, type Ports, type Vote } from './ports.ts';
import type { Fork, Lsn, PgFacts } from './postgres.ts';
import type { Durable, StateRecord, View } from './records.ts';

/** The votes of one lease index; an entry that is missing did not answer (which is unknown, never "behind"). */
export type Ballot = {
  index: number;
  syncIndex: number;
  own: Vote;
  votes: Record<string, Vote>;
  refused: Record<string, string>;
  at: number;
};

/** Why this node may promote under `epoch`: won by votes, handed over after a clean stop, or the founder of the cluster. */
export type Mandate =
  | { kind: 'votes'; epoch: number; votes: Vote[] }
  | { kind: 'handover'; epoch: number; timeline: number; lsn: Lsn; from: string }
  | { kind: 'founder'; epoch: number };

export type LogEvent = { component: string; level: 'info' | 'warn' | 'error'; message: string };

export type HookPhase = Parameters<Ports['hooks']['run']>[0];

export type NodeContext = {
  readonly name: string;
  /** Boot id and nonce (PROTOCOL B.2). Survives a restart of the agent, not of the machine. */
  readonly instance: string;
  readonly version: string;
  policy: Policy;
  /** The lease times of this node's own file; `policy` has those of the cluster. */
  readonly fileTimes: LeaseTimes;
  /** What is not as the own file has it, for status; null: nothing. */
  timesNote: string | null;
  /** Was the cluster's synchronous mode ever read here, or seen not to be there? */
  modeKnown: boolean;
  /** This node's own monotonic clock, milliseconds. */
  now(): number;
  /** Wall clock, for people: only ever written into records, or compared with an expiry that makes a request go away. */
  wall(): Date;
  log(event: LogEvent): void;
  /** Make `nap` of the main process return now. */
  wake(): void;
  unlock(name: LockName): void;
  /** Checks as the check-runner last saw them. */
  checks(): CheckSummary;
  /** Whose name this node's certificates have, as far as PostgreSQL has taken them up; absent in a plain cluster. */
  readonly certificates?: () => StateRecord['certificates'];
  /** Has this node an authority by which records about members are signed? Absent in a plain cluster. */
  readonly signs?: () => boolean;

  durable: Durable;
  lease: LeaseView;
  view: View | null;
  /** When the last answer from Consul came, own clock; -Infinity before the first. */
  viewAt: number;
  pg: PgFacts | null;
  /** The replicated files as last seen. */
  files: FileFacts;
  /** History of the own timeline, as last read. */
  branchHistory: Fork[] | null;
  ballot: Ballot | null;
  mandate: Mandate | null;
  /** Clients shut out, as far as we did it ourselves. */
  fence: 'closed' | 'open' | 'unknown';
  /** Set by the guard: what main was doing is void. */
  interrupted: boolean;
  /** Our right was seen to be another's now, not given away: the guard fences, whatever main is waiting for. */
  deposed: boolean;
  /** Since when the right is extended by the members' agreement alone, own clock; null: Consul answers. */
  failsafeSince: number | null;
  /** How many fence-downs run right now: main and the keeper wait. */
  fencing: number;
  /** Do not challenge before this time (own clock): only ever delays, for a bounded time. */
  cooldownUntil: number;
  /** Until when this node, having failed as active, is no target of an automatic handover; own clock. */
  failedUntil: number;
  /** The keeper renews only while this is true (PROTOCOL D.9: a holder that cannot open stops renewing). */
  renewing: boolean;
  /** Starts in place of a died postmaster, own clock. */
  restarts: number[];
  /** Since when this holder has been without an open, writable database; null while it is open. */
  closedSince: number | null;
  /** When clients were last let in, own clock. */
  openedAt: number;
  /** Did a standby stream when this active was last well? */
  hadStandby: boolean;
  /** When the last failed start in place began; null when none failed. */
  startFailedAt: number | null;
  /** Since when no voter streams; null while one does. */
  lonelySince: number | null;
  /** An unknown key write of a voter change: nothing is loosened until a renewal succeeded (PROTOCOL D.9). */
  unsettled: boolean;
  lastRule: number;
  /** What the last rule's action failed with, and since when it has been failing, own clock; null: it did not. */
  lastFailure: { rule: number; why: string; since: number } | null;
  /** The action that main carries out right now; null between ticks. */
  acting: string | null;
  /** What a handover under way waits for right now, for people; null: none is. */
  step: string | null;
  /** When main last completed a tick, own clock. */
  tickAt: number;
  /** When `pg` was observed, own clock. */
  pgAt: number;
  /** Where the own branch left the leader's, when it did. */
  fork: Fork | null;
  stopping: 'no' | 'restart' | 'shutdown';
  wants: 'nothing' | 'rewind' | 'reclone';
  /** Starts of services in place since they last were well for a while, and when the last was; own clock. */
  repairs: number;
  repairedAt: number;
  /** A switchover that was tried and cancelled: why, for the request's answer. */
  refusedRequest: { id: string; why: string } | null;
  /** The request as first seen here, own clock. */
  requestSeen: { id: string; at: number } | null;
  /** What the files were last told, when, and how often in vain. */
  filesTold: { what: string | null; at: number; tries: number };
  /** Hooks that run after the fact, in order. */
  hooksDue: { phase: HookPhase; facts: Record<string, string> }[];
  /** Promoted and open; `post-promote` waits for the services with these facts. */
  promoted: Record<string, string> | null;
  /** Whom the database was last told to follow, for the hooks. */
  followed: string | null;
  /** The epoch under which the own branch was last found to be a prefix of the holder's; null: not compared since the start. */
  comparedEpoch: number | null;
  /** For which members, and on which copy, the replication slots were last made sure of. */
  slotsMade: string | null;
  /** Has clients let in as the active, since it was promoted or found itself to be. */
  serving: boolean;
  /** How often this node failed as active, one soon after the other: each time it is left out longer. */
  failures: number;
  /** Services are being started beside main. */
  startingServices: boolean;
  /** When they last had all been started, own clock. */
  servicesUpAt: number;
  /** The one long task (rewind, basebackup) that runs beside main, and from whom it reads. */
  task: { what: 'rewind' | 'reclone'; from: string; began: number } | null;
  /** Until when the kernel lets clients in, as far as it confirmed; own clock. */
  openUntil: number;
  /** Since when, on our own clock, clients have presumably been without an active: for the measured downtime. */
  outageSince: number | null;
  /** Downtime of the last opening, as measured here; null when unknown. */
  lastDowntime: number | null;
  /** When this process of the agent began. */
  readonly bornAt: number;
};

export function createContext(
  base: Pick<
    NodeContext,
    | 'name'
    | 'instance'
    | 'version'
    | 'policy'
    | 'now'
    | 'wall'
    | 'log'
    | 'wake'
    | 'unlock'
    | 'checks'
    | 'durable'
  > &
    Pick<NodeContext, 'certificates' | 'signs'>,
): NodeContext {
  return {
    ...base,
    fileTimes: timesOf(base.policy),
    timesNote: null,
    modeKnown: false,
    lease: emptyLease(),
    view: null,
    viewAt: Number.NEGATIVE_INFINITY,
    pg: null,
    files: NO_FILES,
    branchHistory: null,
    ballot: null,
    mandate: null,
    fence: 'unknown',
    interrupted: false,
    deposed: false,
    failsafeSince: null,
    fencing: 0,
    cooldownUntil: Number.NEGATIVE_INFINITY,
    failedUntil: Number.NEGATIVE_INFINITY,
    renewing: true,
    restarts: [],
    closedSince: null,
    openedAt: Number.NEGATIVE_INFINITY,
    hadStandby: false,
    startFailedAt: null,
    lonelySince: null,
    unsettled: false,
    lastRule: 0,
    lastFailure: null,
    acting: null,
    step: null,
    tickAt: base.now(),
    pgAt: Number.NEGATIVE_INFINITY,
    fork: null,
    stopping: 'no',
    wants: base.durable.wants ?? 'nothing',
    repairs: 0,
    repairedAt: Number.NEGATIVE_INFINITY,
    refusedRequest: null,
    requestSeen: null,
    hooksDue: [],
    promoted: null,
    followed: null,
    comparedEpoch: null,
    slotsMade: null,
    serving: false,
    failures: 0,
    task: null,
    startingServices: false,
    servicesUpAt: Number.NEGATIVE_INFINITY,
    openUntil: Number.NEGATIVE_INFINITY,
    filesTold: { what: null, at: Number.NEGATIVE_INFINITY, tries: 0 },
    outageSince: null,
    lastDowntime: null,
    bornAt: base.now(),
  };
}
