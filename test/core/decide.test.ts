import { describe, expect, test } from 'bun:test';
import { decide } from '../../agent/core/decide.ts';
import type { Facts } from '../../agent/core/facts.ts';
import { activeFacts, type FactsOver, facts, pgFacts, primary, stopped } from './build.ts';
import { dice, randomFacts } from './facts_random.ts';

const ballot = (over: Partial<NonNullable<Facts['ballot']>> = {}): NonNullable<Facts['ballot']> => ({
  current: true,
  age: 100,
  verdict: { kind: 'may', reason: '2 of 2 voters voted, 2 needed' },
  rank: 0,
  ...over,
});
const copy = { what: 'reclone' as const, from: 'a', runs: 5000 };
const leads = { filesDue: 'lead' as const };
const request = { id: 'r1', target: 'b', by: 'ann', expired: false, unfit: null, waiting: null };
const free: FactsOver = {
  lease: { state: 'free', holder: '', still: 50 },
  pg: pgFacts({ streaming: false }),
};
const expired: FactsOver = { lease: { still: 6100 } };
const unlisted = { sync: { leader: false, epoch: 5, voter: false, voters: 2 } };
const returned: FactsOver = {
  pg: pgFacts({ streaming: false, upstreamHost: null }),
  branch: { kind: 'diverged', fork: { tli: 3, lsn: 900n } },
  followsHolder: false,
};

test('a pause says whether the lease is kept, or nobody is active until it ends; what is not known is not said', () => {
  const reason = (over: FactsOver) => decide(facts({ paused: true, ...over })).reason;
  const nobody = "the cluster is paused, and nobody is active until 'agent cluster resume'";
  expect(reason(expired)).toBe(nobody);
  expect(reason({ lease: { state: 'free' } })).toBe(nobody);
  const kept = 'the cluster is paused: the lease is kept, no role is changed';
  expect(reason({})).toBe(kept);
  expect(decide(activeFacts({ paused: true })).reason).toBe(kept);
});

/** Every situation of the design's list in its order of precedence, then those that were added. */
const situations: [string, Facts, number, string[]][] = [
  ['removed while it runs', activeFacts({ removed: true }), 100, ['fence_down']],
  ['removed, nothing runs any more', facts({ removed: true, pg: stopped() }), 100, []],
  ["another database's system id", activeFacts({ foreign: 'system' }), 110, ['fence_down']],
  ['an older incarnation of the cluster', activeFacts({ foreign: 'incarnation' }), 110, ['fence_down']],
  [
    'another instance has the lease under its name',
    activeFacts({ lease: { state: 'impostor', right: 0 } }),
    120,
    ['fence_down'],
  ],
  [
    'offered the lease while a primary runs',
    activeFacts({ lease: { state: 'offered', right: 0 } }),
    130,
    ['fence_down'],
  ],
  ['active, lease ran out', activeFacts({ lease: { right: 0 } }), 200, ['fence_down']],
  [
    'primary, and nothing is known of a lease',
    activeFacts({ lease: { state: 'unknown', right: 0 } }),
    200,
    ['fence_down'],
  ],
  ['agent just restarted beside its primary', activeFacts({ lease: { right: 0 }, age: 300 }), 205, []],
  ['active, Consul silent, lease stands', activeFacts({ consul: 'unreachable' }), 210, []],
  ['standby, Consul silent', facts({ consul: 'unreachable' }), 220, []],
  [
    'primary while another holds the lease',
    activeFacts({ lease: { state: 'other', right: 0 } }),
    230,
    ['fence_down'],
  ],
  ['active, a decisive key cannot be read', activeFacts({ faults: ['sync'] }), 240, []],
  [
    'primary after the lease was released',
    activeFacts({ lease: { state: 'free', holder: '', right: 0 } }),
    230,
    ['fence_down'],
  ],
  [
    'server that does not answer and is no standby, another holds',
    activeFacts({ lease: { state: 'other', right: 0 }, pg: primary({ role: 'unknown' }) }),
    230,
    ['fence_down'],
  ],
  ['active-only services on a standby', facts({ services: { running: ['worker'] } }), 230, ['fence_down']],
  ['long task was interrupted, may wipe', facts({ rebuilding: 'rewind', mayWipe: true }), 300, ['rebuild']],
  ['long task was interrupted, still a voter', facts({ rebuilding: 'rewind' }), 300, []],
  ['node in maintenance', facts({ maintenance: true, pg: stopped() }), 310, []],
  [
    'node in maintenance that holds the lease stays active',
    activeFacts({ maintenance: true }),
    570,
    ['sync_step'],
  ],
  ['cluster paused, lease run out', facts({ paused: true, ...expired, ballot: ballot() }), 320, []],
  ['cluster paused, active: voters kept true', activeFacts({ paused: true }), 320, ['sync_step']],
  ['cluster paused, active with a request', activeFacts({ paused: true, request }), 545, ['handover']],
  [
    'cluster paused, active with a request that waits for its target',
    activeFacts({ paused: true, request: { ...request, waiting: 'it lacks files' } }),
    320,
    ['sync_step'],
  ],
  [
    'cluster paused, the lease was handed over to it',
    facts({ paused: true, lease: { state: 'offered', holder: 'b' } }),
    500,
    ['accept'],
  ],
  [
    'first start',
    facts({ sync: null, members: ['b'], lease: { state: 'absent' }, pg: stopped() }),
    400,
    ['acquire'],
  ],
  ['first start, lease held', activeFacts({ sync: null, members: ['a'], pg: stopped() }), 405, ['found']],
  [
    'join: no database here yet, may wipe',
    facts({ pg: stopped({ data: 'empty' }), mayWipe: true }),
    410,
    ['rebuild'],
  ],
  ['data directory gone on a voter', facts({ pg: stopped({ data: 'empty' }) }), 410, ['want']],
  ['data directory of the holder gone', activeFacts({ pg: stopped({ data: 'empty' }) }), 415, ['release']],
  [
    'start after a crash as former primary',
    facts({ pg: stopped(), sync: { leader: true, epoch: 4, voter: false, voters: 2 } }),
    420,
    ['start_standby'],
  ],
  ['start with data while another is active', facts({ pg: stopped() }), 430, ['start_standby']],
  ['no database, nobody to copy from', facts({ ...free, pg: stopped({ data: 'empty' }) }), 440, []],
  ['handed over to it', facts({ lease: { state: 'offered', holder: 'b' } }), 500, ['accept']],
  ['shutting down, a standby is fit', activeFacts({ stopping: 'shutdown' }), 505, ['handover']],
  ['shutting down, nobody is fit', activeFacts({ stopping: 'shutdown', fit: null }), 505, ['release']],
  ['shutting down as a standby', facts({ stopping: 'shutdown' }), 290, []],
  ['copying, the source still active', facts({ task: copy }), 295, []],
  [
    'copying, from one that is not the active any more',
    facts({ task: { ...copy, from: 'c' }, filesDue: 'follow' }),
    295,
    ['cancel_task'],
  ],
  ['copying, its files may follow', facts({ task: copy, filesDue: 'follow' }), 295, ['files_follow']],
  ['copying, nobody holds the lease: nothing is cancelled', facts({ ...free, task: copy }), 295, []],
  ['files of a fresh active', activeFacts(leads), 553, ['files_lead']],
  ['files of a standby whose active changed', facts({ filesDue: 'follow' }), 742, ['files_follow']],
  [
    'files follow before the database is copied',
    facts({ pg: stopped({ data: 'empty' }), mayWipe: true, filesDue: 'follow' }),
    410,
    ['files_follow', 'rebuild'],
  ],
  [
    'switchover request whose target is not ready yet',
    activeFacts({ request: { ...request, waiting: 'it lacks 3 files' } }),
    570,
    ['sync_step'],
  ],
  ['agent restarting: stays active', activeFacts({ stopping: 'restart' }), 570, ['sync_step']],
  [
    'holder whose database is a standby',
    activeFacts({ pg: pgFacts(), mandate: true, fence: 'closed' }),
    510,
    ['promote'],
  ],
  [
    'holder that cannot be promoted for too long',
    activeFacts({
      pg: pgFacts(),
      mandate: true,
      fence: 'closed',
      closedFor: 20_000,
      sync: { leader: false, epoch: 4, voter: true, voters: 2 },
    }),
    520,
    ['release'],
  ],
  [
    'promoted, not written down yet',
    activeFacts({ fence: 'closed', sync: { leader: false, epoch: 4, voter: true, voters: 2 } }),
    512,
    ['finish_promotion'],
  ],
  ['primary, still shut out', activeFacts({ fence: 'closed', closedFor: 1000 }), 514, ['reopen']],
  [
    'the only member, shut out for long, goes on trying',
    activeFacts({ fence: 'closed', closedFor: 60_000, members: ['a'] }),
    514,
    ['reopen'],
  ],
  [
    'strict and without a voter, shut out for long: a copy from here may take hours, and nobody else may take over',
    activeFacts({
      fence: 'closed',
      closedFor: 60_000,
      policy: { synchronousMode: 'strict' },
      sync: { leader: true, epoch: 5, voter: false, voters: 0 },
    }),
    514,
    ['sync_step'],
  ],
  [
    'database died a second time within a minute',
    activeFacts({ pg: stopped(), recentRestarts: 1 }),
    516,
    ['release'],
  ],
  ['database does not start', activeFacts({ pg: stopped(), startFailed: true }), 516, ['release']],
  [
    'database does not start, and no standby ever streamed',
    activeFacts({ pg: stopped(), startFailed: true, hadStandby: false }),
    518,
    ['start_in_place'],
  ],
  ['database died', activeFacts({ pg: stopped() }), 518, ['start_in_place']],
  [
    'holder without a mandate',
    activeFacts({
      pg: pgFacts(),
      fence: 'closed',
      sync: { leader: false, epoch: 4, voter: true, voters: 2 },
    }),
    520,
    ['release'],
  ],
  [
    'holder that cannot open for too long',
    activeFacts({ fence: 'closed', closedFor: 20_000 }),
    520,
    ['release'],
  ],
  [
    'database check at its limit',
    activeFacts({ checks: { failing: ['postgres_select'] } }),
    530,
    ['release'],
  ],
  [
    'database check at its limit on the only member',
    activeFacts({ checks: { failing: ['postgres_select'] }, members: ['a'] }),
    535,
    ['start_in_place'],
  ],
  ['request that expired', activeFacts({ request: { ...request, expired: true } }), 540, ['refuse_request']],
  [
    'request for an unfit target',
    activeFacts({ request: { ...request, unfit: 'it is not streaming' } }),
    540,
    ['refuse_request'],
  ],
  ['switchover request', activeFacts({ request }), 545, ['handover']],
  [
    'service check at its limit, a standby is fit',
    activeFacts({ checks: { failing: ['services'] } }),
    550,
    ['handover'],
  ],
  [
    'service does not run, check below its limit',
    activeFacts({ services: { missing: ['worker'] }, checks: { weak: ['services'] } }),
    555,
    ['services_up', 'sync_step'],
  ],
  [
    'service check at its limit, nobody is fit',
    activeFacts({ checks: { failing: ['services'] }, fit: null }),
    560,
    ['sync_step'],
  ],
  ['check fails below its limit', activeFacts({ checks: { weak: ['postgres_select'] } }), 570, ['sync_step']],
  ['healthy active', activeFacts(), 570, ['sync_step']],
  ['free lease: lets others go first', facts({ ...free, cooldown: 3000 }), 600, []],
  ['free lease: nofailover lets others go first', facts({ ...free, policy: { nofailover: true } }), 600, []],
  [
    'free lease: failing check lets others go first',
    facts({ ...free, checks: { failing: ['disk'] } }),
    600,
    [],
  ],
  ['free lease: no votes yet', facts(free), 610, ['ask_votes']],
  ['lease about to run out: no votes yet', facts({ lease: { still: 5100 } }), 610, ['ask_votes']],
  ['votes of an older index', facts({ ...free, ballot: ballot({ current: false }) }), 610, ['ask_votes']],
  [
    'a voter does not answer, or a peer is ahead',
    facts({ ...free, ballot: ballot({ verdict: { kind: 'must-not', reason: 'c is ahead', missing: [] } }) }),
    620,
    ['ask_votes'],
  ],
  ['enough votes, lease not run out', facts({ lease: { still: 5500 }, ballot: ballot() }), 630, []],
  ['enough votes, a better candidate', facts({ ...free, ballot: ballot({ rank: 1 }) }), 640, []],
  ['best candidate, released lease', facts({ ...free, ballot: ballot() }), 650, ['acquire']],
  ['best candidate, lease run out', facts({ ...expired, ballot: ballot() }), 650, ['acquire']],
  [
    'copied database that needs WAL of the active before it answers',
    facts({ ...unlisted, pg: { role: 'unknown' }, followsHolder: false }),
    695,
    ['follow'],
  ],
  [
    'a voter that does not answer reads from nobody: what it confirmed it has',
    facts({ pg: { role: 'unknown' }, followsHolder: false }),
    700,
    [],
  ],
  [
    'ahead of the holder, which has not opened yet',
    facts({ towards: 'foreign', followsHolder: false }),
    717,
    ['cut', 'want'],
  ],
  [
    'ahead of the holder, cut off and said so already',
    facts({ towards: 'foreign', wants: 'rewind', pg: { upstreamHost: null } }),
    717,
    [],
  ],
  [
    'not known to be a prefix of the holder',
    facts({ towards: 'unknown', followsHolder: false }),
    727,
    ['cut'],
  ],
  ['a slot is missing', facts({ slotsDue: true }), 743, ['ensure_slots']],
  ['database does not answer yet', facts({ pg: { role: 'unknown' } }), 700, []],
  ['returned, diverged, may wipe', facts({ ...returned, mayWipe: true }), 710, ['rebuild']],
  ['asked to be cloned again, may wipe', facts({ wants: 'reclone', mayWipe: true }), 710, ['rebuild']],
  ['returned, diverged, still a voter', facts(returned), 715, ['want']],
  ['promoted once, never written down', facts({ branch: { kind: 'newer' } }), 720, []],
  [
    'promoted once, never written down, the holder is another',
    facts({ branch: { kind: 'newer' }, followsHolder: false }),
    720,
    ['follow'],
  ],
  ['own lease ran out, standby again', facts({ lease: { state: 'mine', holder: 'b' } }), 725, []],
  ['standby whose active changed', facts({ followsHolder: false }), 730, ['follow']],
  ['gave its vote', facts({ followsHolder: false, mayFollow: false }), 735, []],
  ['a service of the standby does not run', facts({ services: { missingAlways: ['web'] } }), 740, ['repair']],
  ['standby that carries an old list', facts({ carries: false }), 745, ['carry_list']],
  ['healthy standby', facts(), 750, []],
  ['standby, no lease read yet', facts({ lease: { state: 'absent', holder: '' } }), 760, []],
  [
    'open primary that sync does not name',
    activeFacts({ reserved: null, sync: { leader: false, epoch: 4, voter: false, voters: 2 } }),
    990,
    ['fence_down'],
  ],
];

describe('situations', () => {
  test.each(situations)('%s', (_, f, rule, does) => {
    const decision = decide(f);
    expect([decision.rule, ...decision.actions.map((a) => a.do)]).toEqual([rule, ...does] as never);
    expect(decision.reason).not.toMatch(/undefined|null/);
  });
  test('every rule has its situation here', () => {
    const shown = new Set(situations.map(([, , rule]) => rule));
    const reached = new Set<number>();
    const random = dice(3);
    for (let i = 0; i < 30_000; i += 1) reached.add(decide(randomFacts(random)).rule);
    expect([...reached].filter((id) => !shown.has(id))).toEqual([]);
  });
});

describe('precedence: of two situations at once the graver one wins', () => {
  const both: [string, Facts, number][] = [
    ['removed before foreign', activeFacts({ removed: true, foreign: 'system' }), 100],
    ['foreign before a lease that ran out', activeFacts({ foreign: 'cluster', lease: { right: 0 } }), 110],
    [
      'a lease that ran out before a silent Consul',
      activeFacts({ lease: { right: 0 }, consul: 'unreachable' }),
      200,
    ],
    ['a silent Consul before a dead database', activeFacts({ consul: 'unreachable', pg: stopped() }), 210],
    [
      'a silent Consul before a challenge',
      facts({ consul: 'unreachable', ...expired, ballot: ballot() }),
      220,
    ],
    [
      'a primary elsewhere before a pause',
      activeFacts({ lease: { state: 'other', right: 0 }, paused: true }),
      230,
    ],
    ['a lease that ran out before a pause', activeFacts({ lease: { right: 0 }, paused: true }), 200],
    ['an interrupted rewind before maintenance', facts({ rebuilding: 'rewind', maintenance: true }), 300],
    ['maintenance before a pause', facts({ maintenance: true, paused: true }), 310],
    ['maintenance before a start', facts({ maintenance: true, pg: stopped() }), 310],
    ['a pause before a restart in place', activeFacts({ paused: true, pg: stopped() }), 320],
    ['a pause before a failing check', activeFacts({ paused: true, checks: { failing: ['services'] } }), 320],
    [
      'promotion before a request',
      activeFacts({ pg: pgFacts(), mandate: true, fence: 'closed', request }),
      510,
    ],
    ['a dead database before a request', activeFacts({ pg: stopped(), request }), 518],
    [
      'a dead database before its failing check',
      activeFacts({ pg: stopped(), checks: { failing: ['postgres_port'] } }),
      518,
    ],
    [
      'a database that fails its checks before a request',
      activeFacts({ checks: { failing: ['postgres_write'] }, request }),
      530,
    ],
    [
      'a refused request before a handover for a failing service',
      activeFacts({ request: { ...request, expired: true }, checks: { failing: ['services'] } }),
      540,
    ],
    [
      'a requested handover before one for a failing service',
      activeFacts({ request, checks: { failing: ['services'] } }),
      545,
    ],
    [
      'repaired in place as often as configured, a handover before another repair',
      activeFacts({ checks: { failing: ['services'] }, services: { missing: ['worker'] }, repairs: 1 }),
      550,
    ],
    [
      'a repair in place before a handover for a service that was never started again',
      activeFacts({ checks: { failing: ['services'] }, services: { missing: ['worker'] } }),
      555,
    ],
    [
      'services that are being started before what their check says of them',
      activeFacts({ checks: { failing: ['services'] }, servicesSettle: true, repairs: 1 }),
      570,
    ],
    [
      'another failing check all the same',
      activeFacts({ checks: { failing: ['services', 'disk'] }, servicesSettle: true }),
      550,
    ],
    [
      'a failing database elsewhere is not repaired by starting services first',
      activeFacts({ checks: { failing: ['services', 'disk'] }, services: { missing: ['worker'] } }),
      550,
    ],
    [
      'the files lead before the services start',
      activeFacts({ ...leads, services: { missing: ['worker'] } }),
      553,
    ],
    ['a failing service before the files', activeFacts({ ...leads, checks: { failing: ['services'] } }), 550],
    ['following before the files', facts({ filesDue: 'follow', followsHolder: false }), 730],
    [
      'a shutting down standby challenges nobody',
      facts({ ...expired, stopping: 'shutdown', ballot: ballot() }),
      290,
    ],
    [
      'a shutting down node fences down first',
      activeFacts({ stopping: 'shutdown', lease: { right: 0 } }),
      200,
    ],
    [
      'a request that waits for its target leaves the active to its other duties',
      activeFacts({ request: { ...request, waiting: 'it lacks files' }, services: { missing: ['worker'] } }),
      555,
    ],
    ['divergence before following', facts({ ...returned, mayWipe: true }), 710],
    [
      'a challenge before following',
      facts({ ...expired, followsHolder: false, mayFollow: false, ballot: ballot() }),
      650,
    ],
  ];
  test.each(both)('%s', (_, f, rule) => expect(decide(f).rule).toBe(rule));
});

describe('properties over random facts', () => {
  const each = (check: (f: Facts, d: ReturnType<typeof decide>) => void) => {
    const random = dice(11);
    for (let i = 0; i < 15_000; i += 1) {
      const f = randomFacts(random);
      check(f, decide(f));
    }
  };
  const asks = (d: ReturnType<typeof decide>, ...names: string[]) =>
    d.actions.some((a) => names.includes(a.do));

  test('promoting, opening and writable starts are only asked for under a right of one’s own', () => {
    each((f, d) => {
      if (
        asks(d, 'promote', 'finish_promotion', 'reopen', 'start_in_place', 'found', 'services_up', 'handover')
      )
        expect(f.lease.state === 'mine' && f.lease.right > 0).toBe(true);
    });
  });
  test('an unknown or merely unreadable lease never leads to acquiring it', () => {
    each((f, d) => {
      if (asks(d, 'acquire')) {
        expect(['absent', 'free', 'other', 'impostor']).toContain(f.lease.state);
        expect(f.consul).toBe('ok');
      }
    });
  });
  test('a lease of somebody else is only taken after lease_duration without a renewal, with votes', () => {
    each((f, d) => {
      if (asks(d, 'acquire') && f.lease.state !== 'free' && f.lease.state !== 'absent')
        expect(f.lease.still).toBeGreaterThanOrEqual(f.policy.leaseDuration);
      if (asks(d, 'acquire') && f.sync !== null)
        expect([f.ballot?.current, f.ballot?.verdict.kind]).toEqual([true, 'may']);
    });
  });
  test('a right that is running is only ever given up by rules that stop the database first', () => {
    each((f, d) => {
      if (asks(d, 'release')) expect(f.lease.right).toBeGreaterThan(0);
    });
  });
  test('nothing is wiped that a vote may count on, or without a holder to copy from', () => {
    each((f, d) => {
      if (asks(d, 'rebuild')) expect([f.mayWipe, f.mayFollow, f.lease.state]).toEqual([true, true, 'other']);
    });
  });
  test('a primary without a right is fenced down, or its agent has only just started', () => {
    each((f, d) => {
      const acts = f.services.running.length > 0 || (f.pg.process !== 'stopped' && f.pg.role === 'primary');
      if (acts && f.lease.right <= 0)
        expect([...d.actions.map((a) => a.do), d.rule]).toContain(d.rule === 205 ? 205 : 'fence_down');
    });
  });
  test('deciding changes no fact, and the same facts give the same decision', () => {
    each((f, d) => {
      const before = JSON.stringify(f, (_, v) => (typeof v === 'bigint' ? `${v}` : v));
      expect(decide(f)).toEqual(d);
      expect(JSON.stringify(f, (_, v) => (typeof v === 'bigint' ? `${v}` : v))).toBe(before);
    });
  });
  test('the nap is positive and never longer than a tick', () => {
    each((f, d) => {
      expect(d.nap).toBeGreaterThan(0);
      expect(d.nap).toBeLessThanOrEqual(f.policy.retryPeriod);
    });
  });
});

describe('the nap', () => {
  test('a standby wakes at the moment when votes may be asked for, and when the lease runs out', () => {
    expect(decide(facts({ lease: { still: 4900 } })).nap).toBe(100);
    expect(decide(facts({ lease: { still: 5950 }, ballot: ballot() })).nap).toBe(50);
  });
});
