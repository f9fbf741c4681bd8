/**
 * Everything a decision may look at, frozen at one moment (CONTRACTS 6). Built from the node's memory by
 * `factsOf`.
 */

import { branchOf, type OwnBranch, type Towards, towardsHolder } from './branch.ts';
import { type BallotVerdict, mayPromote, rankOf } from './election.ts';
import { type FilesDue, filesDue, pauseAfter } from './files_due.ts';
import { type LeaseFacts, leaseFacts } from './lease_facts.ts';
import { seenTimes } from './lease_times.ts';
import type { NodeContext } from './node.ts';
import type { Policy } from './policy.ts';
import type { CheckSummary, FileFacts, ServiceFacts } from './ports.ts';
import type { PgFacts } from './postgres.ts';
import { sameList } from './procedures/cover.ts';
import { carriedList } from './procedures/opening.ts';
import { slotsWanted } from './procedures/slots.ts';
import type { StateRecord } from './records.ts';
import { bestStandby, filesLacking, type RequestFacts, requestOf } from './target.ts';
import { faultsOf } from './unreadable.ts';

export type Facts = {
  node: string;
  policy: Policy;
  /** Age of the agent's process, ms. */
  age: number;
  /**
   * How old it may become beside a primary before its first renewal: by the times that challengers go by, ms.
   */
  startGrace: number;
  consul: 'ok' | 'unreachable';
  lease: LeaseFacts;
  removed: boolean;
  /** Decisive keys in Consul that are not understood. */
  faults: string[];
  /** Is this node registered under nodes/? */
  member: boolean;
  members: string[];
  foreign: 'no' | 'cluster' | 'system' | 'incarnation';
  pg: PgFacts;
  /** null: not known (no sync record, or no position). */
  branch: OwnBranch | null;
  /** The own data against the branch of the lease's holder: only a prefix of it may follow. */
  towards: Towards;
  fence: 'closed' | 'open' | 'unknown';
  services: ServiceFacts;
  files: FileFacts;
  checks: CheckSummary;
  sync: { leader: boolean; epoch: number; voter: boolean; voters: number } | null;
  /** The timeline reserved under the epoch that we hold, if we reserved one. */
  reserved: number | null;
  mandate: boolean;
  ballot: { current: boolean; age: number; verdict: BallotVerdict; rank: number } | null;
  /** Best standby a failing active could hand over to. */
  fit: string | null;
  request: RequestFacts | null;
  /** The right stands by the members' agreement alone. */
  failsafe: boolean;
  paused: boolean;
  maintenance: boolean;
  stopping: 'no' | 'restart' | 'shutdown';
  rebuilding: 'rewind' | 'reclone' | null;
  /** The long task that runs right now. */
  task: { what: 'rewind' | 'reclone'; from: string; runs: number } | null;
  /** May our data be wiped, so that no vote can count on it any more? */
  mayWipe: boolean;
  /** May we read from the holder, after the vote we gave? */
  mayFollow: boolean;
  /** Does this standby carry the list of voters that a promotion after a handover would open with? */
  carries: boolean;
  /** Is the configured upstream the holder's address, and was the own branch compared with this holder's? */
  followsHolder: boolean;
  /**
   * Is a replication slot missing for a member, or may be? Not known to be there is missing, whether the
   * server answers or not.
   */
  slotsDue: boolean;
  cooldown: number;
  /**
   * How long ago clients were let in, ms: checks that began to fail before say nothing about the server as it
   * is now.
   */
  openFor: number;
  /** Starts in place within the restart window. */
  recentRestarts: number;
  /** Did a standby stream when this active was last well? */
  hadStandby: boolean;
  startFailed: boolean;
  /** How long this holder has been unable to open, ms. */
  closedFor: number;
  /** May services be started again already? After each try the pause doubles. */
  repairDue: boolean;
  /** Services are being started, or were just now: their check says nothing of them yet. */
  servicesSettle: boolean;
  /** Starts of services in place since they last were well. */
  repairs: number;
  /** The files do not do yet what this node's role wants of them, and it is time to say so (again). */
  filesDue: FilesDue;
  wants: 'nothing' | 'rewind' | 'reclone';
};

export function factsOf(
  n: NodeContext,
  pg: PgFacts,
  services: ServiceFacts,
  derived: Pick<Facts, 'mayWipe' | 'mayFollow'> & Partial<Pick<Facts, 'task'>>,
): Facts {
  const now = n.now();
  const view = n.view;
  const record = n.lease.record;
  const sync = view?.sync?.value ?? null;
  const members = Object.keys(view?.nodes ?? {});
  const holderHost = record === null ? undefined : view?.nodes[record.holder]?.hostIp;
  const facts: Omit<Facts, 'request' | 'fit'> = {
    node: n.name,
    policy: {
      ...n.policy,
      ...seenTimes(n, record),
      nofailover: view?.nodes[n.name]?.options.nofailover ?? n.policy.nofailover,
    },
    age: now - n.bornAt,
    startGrace: Math.min(1.5 * n.policy.retryPeriod, 0.375 * seenTimes(n, record).renewDeadline),
    consul: now - n.viewAt <= n.policy.renewDeadline ? 'ok' : 'unreachable',
    lease: leaseFacts(n, now),
    removed: view?.removed.includes(n.name) ?? false,
    faults: faultsOf(view),
    member: members.includes(n.name),
    members,
    foreign: foreignness(n, pg),
    pg,
    branch: sync !== null && pg.position !== null ? branchOf(pg.position, n.db.history, sync) : null,
    towards: towards(n, pg),
    fence: n.fence.state,
    services,
    files: n.files.facts,
    checks: n.checks(),
    sync: syncFacts(n),
    reserved: view?.history.find((h) => h.epoch === record?.epoch && h.holder === n.name)?.timeline ?? null,
    mandate: n.candidacy.mandate !== null && n.candidacy.mandate.epoch === n.lease.right?.epoch,
    ballot: ballotFacts(n, now),
    failsafe: n.holding.failsafeSince !== null,
    paused: isPaused(n),
    maintenance: view?.nodes[n.name]?.options.maintenance ?? false,
    stopping: n.main.stopping,
    rebuilding: n.copy.durable.rebuilding,
    task: null,
    ...derived,
    carries: carries(n, pg),
    followsHolder:
      pg.upstreamHost !== null &&
      pg.upstreamHost === holderHost &&
      (n.db.comparedEpoch === record?.epoch || pg.role === 'unknown'),
    slotsDue: n.db.slotsMade !== slotsWanted(n),
    ...recentFacts(n, now),
    filesDue: filesDue(n),
    wants: n.copy.wants,
  };
  return Object.freeze({ ...facts, fit: bestStandby(n, pg), request: requestOf(n, pg) });
}

/** What happened here not long ago. */
function recentFacts(
  n: NodeContext,
  now: number,
): Pick<
  Facts,
  | 'cooldown'
  | 'openFor'
  | 'recentRestarts'
  | 'hadStandby'
  | 'startFailed'
  | 'closedFor'
  | 'repairDue'
  | 'servicesSettle'
  | 'repairs'
> {
  return {
    cooldown: Math.max(0, n.candidacy.cooldownUntil - now),
    openFor: now - n.fence.openedAt,
    recentRestarts: n.failures.restarts.filter((t) => now - t < n.policy.restartWindow).length,
    hadStandby: n.db.hadStandby,
    startFailed: n.failures.startFailedAt !== null,
    closedFor: n.fence.closedSince === null ? 0 : now - n.fence.closedSince,
    repairDue: !n.services.starting && now - n.services.repairedAt >= pauseAfter(n.services.repairs),
    servicesSettle:
      n.services.repairs <= n.policy.serviceRestarts + 1 &&
      (n.services.starting || now - n.services.upAt < 2 * n.policy.checksSettle),
    repairs: n.services.repairs,
  };
}

function syncFacts(n: NodeContext): Facts['sync'] {
  const sync = n.view?.sync?.value;
  if (sync === undefined) return null;
  return {
    leader: sync.leader === n.name,
    epoch: sync.epoch,
    voter: sync.voters.some((v) => v.node === n.name && v.clone === n.copy.durable.clone),
    voters: sync.voters.length,
  };
}

function ballotFacts(n: NodeContext, now: number): Facts['ballot'] {
  const { ballot } = n.candidacy;
  if (ballot === null) return null;
  const { synchronousMode, maximumLagOnFailover } = n.policy;
  const states = n.view?.states;
  return {
    current: ballot.index === n.lease.index,
    age: now - ballot.at,
    verdict: mayPromote(ballot, n.view?.sync?.value ?? null, synchronousMode, maximumLagOnFailover),
    rank: rankOf(
      ballot,
      n.view?.nodes ?? {},
      (node) => isUnwell(states?.[node]),
      (node) => filesLacking(states?.[node]),
    ),
  };
}

/** A pause with an expiry ends by itself: the wall clock may only ever end it. */
export function isPaused(n: NodeContext): boolean {
  const config = n.view?.config?.value;
  if (config === undefined || !config.paused) return false;
  return config.pausedUntil === null || n.wall().getTime() < config.pausedUntil;
}

/** Goes last among candidates: its checks fail, or it failed as active not long ago. */
const isUnwell = (state: StateRecord | undefined): boolean =>
  state !== undefined && (state.failing.length > 0 || state.cooldown);

function towards(n: NodeContext, pg: PgFacts): Towards {
  const record = n.lease.record;
  const own = pg.position;
  if (record === null || own === null || pg.role !== 'standby' || n.db.history === null) return 'unknown';
  return towardsHolder(own, n.db.history, record, n.view?.sync?.value ?? null, n.view?.history ?? []);
}

function carries(n: NodeContext, pg: PgFacts): boolean {
  const wanted = carriedList(n);
  return wanted === undefined || sameList(wanted, pg.syncList);
}

function foreignness(n: NodeContext, pg: PgFacts): Facts['foreign'] {
  const cluster = n.view?.cluster?.value;
  if (cluster === undefined) return 'no';
  if (n.copy.durable.clusterId !== null && cluster.id !== n.copy.durable.clusterId) return 'cluster';
  if (cluster.incarnation < n.copy.durable.incarnation) return 'incarnation';
  return pg.systemId !== null && pg.systemId !== cluster.systemId ? 'system' : 'no';
}
