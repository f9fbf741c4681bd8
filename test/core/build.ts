/** Builders for the core's data: a healthy base, and what the test changes. */

import type { Durable } from '../../agent/core/durable.ts';
import type { Facts } from '../../agent/core/facts.ts';
import { createContext, type NodeContext } from '../../agent/core/node.ts';
import { defaultPolicy, type Policy } from '../../agent/core/policy.ts';
import { NO_FILES, type Vote } from '../../agent/core/ports.ts';
import type { PgFacts } from '../../agent/core/postgres.ts';
import type {
  HistoryRecord,
  LeaseRecord,
  NodeRecord,
  RequestRecord,
  StateRecord,
  Stood,
  SyncRecord,
} from '../../agent/core/records.ts';
import type { Stage } from './stage.ts';

/** The cluster of every test: `a` is the active, `b` and `c` follow. */
export const MEMBERS = ['a', 'b', 'c'];
export const cloneOf = (node: string): string => `${node}1`;
export const hostOf = (node: string): string => `10.0.0.${node}`;
export const voter = (node: string, clone = cloneOf(node)) => ({ node, clone });

export function pgFacts(over: Partial<PgFacts> = {}): PgFacts {
  return {
    data: 'ok',
    process: 'running',
    accepting: true,
    role: 'standby',
    standbySignal: true,
    systemId: 'sys',
    position: { timeline: 3, lsn: 1000n, replayed: 1000n, settled: true },
    streaming: true,
    upstreamHost: hostOf('a'),
    syncList: { names: ['b_b1', 'c_c1'], k: 1 },
    walSenders: [],
    fenced: true,
    ...over,
  };
}

export const primary = (over: Partial<PgFacts> = {}): PgFacts =>
  pgFacts({
    role: 'primary',
    standbySignal: false,
    streaming: false,
    upstreamHost: null,
    fenced: false,
    ...over,
  });

export const stopped = (over: Partial<PgFacts> = {}): PgFacts =>
  pgFacts({
    process: 'stopped',
    accepting: false,
    role: 'unknown',
    streaming: false,
    position: null,
    ...over,
  });

type Nested = 'lease' | 'pg' | 'services' | 'checks' | 'policy';
export type FactsOver = Omit<Partial<Facts>, Nested> & { [K in Nested]?: Partial<Facts[K]> };

/** Facts of `b`, a healthy standby of `a`. */
export function facts(over: FactsOver = {}): Facts {
  const base: Facts = {
    node: 'b',
    policy: defaultPolicy,
    age: 60_000,
    startGrace: 1500,
    consul: 'ok',
    lease: { state: 'other', holder: 'a', epoch: 5, index: 100, still: 500, right: 0 },
    removed: false,
    faults: [],
    member: true,
    members: MEMBERS,
    foreign: 'no',
    pg: pgFacts(),
    branch: { kind: 'contained' },
    towards: 'prefix',
    fence: 'closed',
    services: { running: [], missing: ['worker'], missingAlways: [] },
    files: NO_FILES,
    checks: { failing: [], weak: [], all: {} },
    sync: { leader: false, epoch: 5, voter: true, voters: 2 },
    reserved: null,
    mandate: false,
    ballot: null,
    fit: null,
    request: null,
    paused: false,
    maintenance: false,
    stopping: 'no',
    rebuilding: null,
    task: null,
    mayWipe: false,
    mayFollow: true,
    failsafe: false,
    carries: true,
    followsHolder: true,
    slotsDue: false,
    cooldown: 0,
    openFor: 60_000,
    recentRestarts: 0,
    hadStandby: true,
    startFailed: false,
    closedFor: 0,
    repairDue: true,
    repairs: 0,
    servicesSettle: false,
    filesDue: null,
    wants: 'nothing',
  };
  return {
    ...base,
    ...over,
    lease: { ...base.lease, ...over.lease },
    pg: { ...base.pg, ...over.pg },
    services: { ...base.services, ...over.services },
    checks: { ...base.checks, ...over.checks },
    policy: { ...base.policy, ...over.policy },
  };
}

/** Facts of `a`, the healthy active. */
export function activeFacts(over: FactsOver = {}): Facts {
  const base = facts({
    node: 'a',
    lease: { state: 'mine', right: 3500 },
    pg: primary(),
    fence: 'open',
    services: { running: ['worker'], missing: [] },
    sync: { leader: true, epoch: 5, voter: false, voters: 2 },
    reserved: 3,
    fit: 'b',
    followsHolder: false,
  });
  return {
    ...base,
    ...over,
    lease: { ...base.lease, ...over.lease },
    pg: { ...base.pg, ...over.pg },
    services: { ...base.services, ...over.services },
    checks: { ...base.checks, ...over.checks },
    policy: { ...base.policy, ...over.policy },
  };
}

/** Where everybody stands at rest. */
export const stood = (over: Partial<Stood> = {}): Stood => ({
  timeline: 3,
  lsn: '1000',
  history: [{ tli: 1, lsn: '500' }],
  ...over,
});

export function leaseRecord(over: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    schema: 1,
    holder: 'a',
    instance: 'boot-a',
    epoch: 5,
    seq: 40,
    reason: 'test',
    from: null,
    clean: null,
    stood: stood(),
    closedForMs: null,
    ...over,
  };
}

export function syncRecord(over: Partial<SyncRecord> = {}): SyncRecord {
  return {
    schema: 1,
    leader: 'a',
    epoch: 5,
    timeline: 3,
    history: [{ tli: 1, lsn: '500' }],
    voters: [voter('b'), voter('c')],
    k: 1,
    ...over,
  };
}

export function nodeRecord(node: string, options: Partial<NodeRecord['options']> = {}): NodeRecord {
  return {
    schema: 1,
    hostIp: hostOf(node),
    publicIp: null,
    apiPort: 8700,
    postgresPort: 5432,
    version: '0.1.0',
    options: { priority: 100, nofailover: false, maintenance: false, ...options },
  };
}

export function stateRecord(node: string, over: Partial<StateRecord> = {}): StateRecord {
  return {
    schema: 1,
    role: node === 'a' ? 'active' : 'standby',
    clone: cloneOf(node),
    timeline: 3,
    lsn: '1000',
    wants: 'nothing',
    failing: [],
    cooldown: false,
    checks: {},
    rule: '570',
    reason: '',
    agentVersion: '0.1.0',
    at: '2026-01-01T00:00:00.000Z',
    ...over,
  };
}

export function requestRecord(over: Partial<RequestRecord> = {}): RequestRecord {
  const expires = Date.UTC(2027, 0, 1);
  return {
    schema: 1,
    id: 'r1',
    kind: 'switchover',
    target: 'b',
    epoch: 5,
    expires,
    by: 'test',
    refused: null,
    ...over,
  };
}

export function historyRecord(over: Partial<HistoryRecord> = {}): HistoryRecord {
  return {
    schema: 1,
    epoch: 5,
    holder: 'a',
    from: null,
    reason: 'test',
    kind: 'failover',
    at: '2026-01-01T00:00:00.000Z',
    timeline: 3,
    lsn: '500',
    fork: [],
    opened: null,
    downtimeMs: null,
    ...over,
  };
}

export function vote(node: string, over: Partial<Vote> = {}): Vote {
  return { node, clone: cloneOf(node), timeline: 3, lsn: 1000n, history: [{ tli: 1, lsn: 500n }], ...over };
}

export const durable = (node: string, over: Partial<Durable> = {}): Durable => ({
  clone: cloneOf(node),
  clusterId: 'cluster',
  incarnation: 1,
  vote: null,
  rebuilding: null,
  ...over,
});

/** A node on a stage: its clock is the stage's, its log and wake-ups are kept there. */
type Writable<T> = T extends (...args: never[]) => unknown ? T : { -readonly [F in keyof T]: T[F] };
/** A node that a test puts into any situation: what procedures can only read is written here. */
export type TestNode = { -readonly [K in keyof NodeContext]: Writable<NodeContext[K]> };
/** What is to be another than in a process that has just begun; of a part, only these fields. */
export type NodeOver = { [K in keyof NodeContext]?: Partial<NodeContext[K]> };

export function node(name: string, stage: Stage, over: NodeOver = {}): TestNode {
  const context = createContext({
    name,
    instance: `boot-${name}`,
    version: '0.1.0',
    policy: { ...defaultPolicy } satisfies Policy,
    now: () => stage.now,
    wall: () => new Date(Date.UTC(2026, 0, 1) + stage.now),
    log: (event) => stage.logs.push(event),
    wake: () => stage.wake(),
    unlock: (lock) => stage.unlock(lock),
    checks: () => ({ failing: [], weak: [], all: {} }),
    durable: durable(name),
  });
  for (const [key, value] of Object.entries(over)) {
    const part = context[key as keyof NodeContext];
    const isPart = typeof part === 'object' && part !== null;
    Object.assign(context, { [key]: isPart ? { ...part, ...(value as object) } : value });
  }
  return context;
}
