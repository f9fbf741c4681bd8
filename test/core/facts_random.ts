/** Facts by the dice, for properties over the whole table. Seeded: a failure is the same every time. */
import type { Facts } from '../../agent/core/facts.ts';
import { facts, pgFacts } from './build.ts';

export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Any combination, most of them likely, some of them absurd: the table must have an answer to all. */
export function randomFacts(random: () => number): Facts {
  const one = <T>(...of: T[]): T => of[Math.floor(random() * of.length)] as T;
  const rarely = (p = 0.08) => random() < p;
  const state = one<Facts['lease']['state']>(
    'unknown',
    'absent',
    'free',
    'mine',
    'mine',
    'offered',
    'other',
    'other',
    'impostor',
  );
  const process = one<Facts['pg']['process']>('running', 'running', 'stopped', 'unknown');
  const role =
    process === 'stopped' ? 'unknown' : one<Facts['pg']['role']>('primary', 'standby', 'standby', 'unknown');
  const epoch = 5;
  const syncLeader = random() < 0.5;
  return facts({
    age: one(100, 60_000),
    consul: rarely() ? 'unreachable' : 'ok',
    lease: {
      state,
      holder:
        state === 'free' || state === 'absent' || state === 'unknown' ? '' : state === 'other' ? 'a' : 'b',
      epoch,
      still: one(0, 500, 4500, 5200, 6500, 30_000),
      right: state === 'mine' ? one(0, 3500, 3500) : 0,
    },
    removed: rarely(0.02),
    faults: rarely(0.03) ? ['sync'] : [],
    members: one(['b'], ['a', 'b', 'c'], ['a', 'b', 'c']),
    member: !rarely(),
    foreign: rarely(0.03) ? one('cluster' as const, 'system' as const, 'incarnation' as const) : 'no',
    pg: pgFacts({
      data: rarely() ? one('empty' as const, 'broken' as const, 'unknown' as const) : 'ok',
      process,
      role,
      standbySignal: random() < 0.5,
      streaming: random() < 0.5,
    }),
    towards: one(
      'prefix' as const,
      'prefix' as const,
      'prefix' as const,
      'foreign' as const,
      'unknown' as const,
    ),
    slotsDue: rarely(),
    policy: { synchronousMode: rarely(0.2) ? 'strict' : 'quorum' },
    branch: one(
      null,
      { kind: 'contained' as const },
      { kind: 'newer' as const },
      { kind: 'diverged' as const, fork: { tli: 1, lsn: 5n } },
    ),
    fence: one('closed', 'open', 'unknown'),
    services: {
      running: one<string[]>([], [], ['worker']),
      missing: one<string[]>([], ['worker']),
      missingAlways: one<string[]>([], [], ['web']),
    },
    checks: { failing: one<string[]>([], [], ['services'], ['postgres_select']), weak: [], all: {} },
    sync: rarely()
      ? null
      : { leader: syncLeader, epoch: one(4, epoch), voter: random() < 0.5, voters: one(0, 2) },
    reserved: one(null, 3, 4),
    mandate: random() < 0.5,
    ballot: one(null, {
      current: random() < 0.8,
      age: 10,
      verdict: one(
        { kind: 'may' as const, reason: 'votes' },
        { kind: 'must-not' as const, reason: 'no', missing: [] },
      ),
      rank: one(0, 1),
    }),
    fit: one(null, 'c'),
    request: rarely(0.2)
      ? {
          id: 'r',
          target: 'c',
          expired: rarely(0.3),
          by: 'ann',
          unfit: one(null, null, 'it is down'),
          waiting: one(null, null, 'it is 9 bytes behind'),
        }
      : null,
    paused: rarely(0.05),
    maintenance: rarely(0.05),
    stopping: one('no', 'no', 'no', 'restart', 'shutdown'),
    rebuilding: rarely(0.04) ? one('rewind' as const, 'reclone' as const) : null,
    task: rarely(0.05) ? { what: 'reclone' as const, from: one('c', 'd'), runs: 1000 } : null,
    mayWipe: random() < 0.5,
    mayFollow: random() < 0.7,
    openFor: random() < 0.5 ? 60_000 : 1000,
    carries: random() < 0.5,
    followsHolder: random() < 0.5,
    cooldown: rarely(0.2) ? 4000 : 0,
    recentRestarts: one(0, 0, 1, 2),
    filesDue: one(null, null, null, 'lead', 'follow'),
    repairs: one(0, 1),
    servicesSettle: random() < 0.2,
    hadStandby: random() < 0.7,
    startFailed: rarely(0.2),
    closedFor: one(0, 1000, 20_000),
    repairDue: random() < 0.8,
    wants: one('nothing', 'nothing', 'rewind', 'reclone'),
  });
}
