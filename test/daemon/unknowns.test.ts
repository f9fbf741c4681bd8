/** Of whatever a node may know or not know, its status never says OK of what it does not. */
import { expect, test } from 'bun:test';
import type { ClusterStatus, NodeRow } from '../../agent/api/types.ts';
import { grant } from '../../agent/core/lease_times.ts';
import { remaining } from '../../agent/core/lease_view.ts';
import type { StateRecord } from '../../agent/core/records.ts';
import { clusterStatusOf, lagsOf } from '../../agent/daemon/cluster_status.ts';
import { healthOf, statusOf } from '../../agent/daemon/status.ts';
import type { Member } from '../../agent/node/member.ts';
import {
  activeFacts,
  facts,
  leaseRecord,
  node,
  pgFacts,
  primary,
  stateRecord,
  stopped,
} from '../core/build.ts';
import { Stage } from '../core/stage.ts';
import { Random } from '../sim/random.ts';

const NAMES = ['a', 'b', 'c'];
const CHECKS = ['consul', 'services', 'postgres_port', 'postgres_select', 'postgres_write', 'filesync'];

/** A node and what it was told, each part of it fresh, old, false or not there. */
function anything(seed: number) {
  const random = new Random(seed);
  const stage = new Stage();
  const some = <T>(value: T): T | null => (random.chance(0.3) ? null : value);
  const n = node('a', stage);
  const said = (): StateRecord['checks'] =>
    Object.fromEntries(
      CHECKS.filter(() => random.chance(0.6)).map((name) => [name, { ok: random.chance(0.8), output: '' }]),
    );
  for (const name of NAMES) {
    if (random.chance(0.2)) {
      stage.store.drop(`state/${name}`);
      continue;
    }
    const age = random.pick([0, 1000, 3000, 60_000]);
    const state = stateRecord(name, {
      at: random.chance(0.1) ? 'never' : new Date(n.wall().getTime() - age).toISOString(),
      role: random.pick(['active', 'standby', 'down', 'joining'] as const),
      checks: said(),
      ...(random.chance(0.5)
        ? {
            files: {
              state: random.pick(['off', 'complete', 'unknown'] as const),
              needItems: 0,
              needBytes: 0,
              errors: 0,
            },
          }
        : {}),
    });
    stage.store.put(`state/${name}`, state);
  }
  const named = some(random.pick(NAMES));
  if (named !== null)
    stage.store.put('active', {
      schema: 1,
      node: named,
      epoch: 5,
      hostIp: '10.0.0.1',
      timeline: 3,
      since: '2026-01-01T00:00:00.000Z',
    });
  if (random.chance(0.8))
    stage.store.put('next_master', leaseRecord({ holder: random.pick(['a', 'b', '']) }));
  if (random.chance(0.1)) stage.store.drop('nodes/b');
  if (random.chance(0.9)) stage.sees(n);
  if (random.chance(0.5)) n.lease = grant(n.lease, 5, stage.now + random.int(8000));
  stage.now += random.pick([0, 500, 3900, 20_000]);
  n.fence.state = random.pick(['open', 'closed', 'unknown']);
  const pg = random.pick([primary(), pgFacts(), stopped()]);
  n.db.facts = some(pg);
  const last = some({
    facts: {
      ...random.pick([activeFacts(), facts({ node: 'a' })]),
      pg,
      checks: { failing: [], weak: [], all: said() },
    },
    decision: { rule: 1, reason: 'r' },
  });
  const alive = some(NAMES.filter(() => random.chance(0.7)));
  const lags = some(Object.fromEntries(NAMES.map((name) => [name, some(random.int(100))])));
  const members = NAMES.map((name) => ({
    ...{ name, address: `10.0.0.${name}`, server: true, nodeId: name },
    status: alive?.includes(name) ? 'alive' : 'failed',
  }));
  const member = {
    ...{ node: n, last: () => last, peers: { lags: async () => lags }, signed: { demanded: () => true } },
    consul: {
      catalog: {
        members: async () => (alive === null ? { kind: 'unknown' } : { kind: 'ok', value: members }),
      },
    },
  } as unknown as Member;
  return { member, n, alive, last };
}

/**
 * Its word, and is it of now? By the rules in words: own, or written less than two heartbeats ago to a Consul
 * that answers.
 */
function heard({ n, last, alive }: ReturnType<typeof anything>, name: string) {
  const answers = n.now() - n.viewAt <= n.policy.renewDeadline;
  const state = n.view?.states[name];
  if (name === n.name) return { known: last !== null || state !== undefined, answers, state };
  const age = n.wall().getTime() - Date.parse(state?.at ?? '');
  const fresh = Number.isFinite(age) && age < 2 * n.policy.heartbeat;
  const gone = alive !== null && !alive.includes(name) && state?.checks.consul?.ok !== false;
  return { known: answers && fresh && !gone, answers, state };
}

function wrongOfRow(row: NodeRow, world: ReturnType<typeof anything>, status: ClusterStatus): string[] {
  const { n, last } = world;
  const { known, answers, state } = heard(world, row.name);
  const own = row.name === n.name;
  const checks = own && last !== null ? last.facts.checks.all : (state?.checks ?? {});
  const has = (...names: string[]) => names.some((name) => checks[name] !== undefined);
  const bad = (...names: string[]) => names.some((name) => checks[name]?.ok === false);
  const database = ['postgres_port', 'postgres_select', 'postgres_write'];
  const rules: [string, boolean][] = [
    ['a check of one that is not heard', !known && Object.values(row.checks).some(Boolean)],
    ['heartbeat or consul while Consul is silent', !answers && (row.checks.heartbeat || row.checks.consul)],
    ['services without a result', row.checks.services && (!has('services') || bad('services'))],
    ['the database without a result', row.checks.database && (!has(...database) || bad(...database))],
    ['files that failed', row.checks.filesync && bad('filesync')],
    ['an active that is not known to be', row.master && status.active !== row.name],
    ['an active that does not say so', row.master && !own && state?.role !== 'active'],
    ['online and silent', row.online && !own && (row.silent === true || !known)],
    ['a lag of the silent', row.lag !== null && row.silent === true],
    ['leader or replica without a word', /leader|replica/.test(row.state) && !known],
    ['speaks, and is not heard', !own && row.silent !== true && !known],
  ];
  return rules.filter(([, wrong]) => wrong).map(([what]) => `${row.name}: ${what}`);
}

async function wrongOf(seed: number): Promise<string[]> {
  const world = anything(seed);
  const { member, n, last } = world;
  const right = remaining(n.lease, n.now());
  const answers = n.now() - n.viewAt <= n.policy.renewDeadline;
  const cluster = await clusterStatusOf(member);
  const status = await statusOf(member, null, null, '', 1, 'a');
  const health = healthOf(member);
  const own = n.lease.record?.holder === 'a' && right > 0;
  const rules: [string, boolean][] = [
    ['no outage while Consul is silent', (cluster.outage == null) === !answers && n.view !== null],
    ['no error while Consul is silent', !answers && cluster.error === null],
    ['itself active without a right, Consul silent', !answers && cluster.active === 'a' && !own],
    [
      'another active, Consul silent, nothing agreed',
      !answers && cluster.active === 'b' && n.lease.firstSeen <= n.viewAt,
    ],
    ['two actives', cluster.nodes.filter(({ master }) => master).length > 1],
    ['since when of nobody', cluster.active === null && cluster.since !== null],
    ['a quorum that nobody told of', cluster.quorum !== null && world.alive === null],
    ['the role of an active without a right', status.role === 'active' && right <= 0],
    ['the role of an active behind a fence', status.role === 'active' && n.fence.state !== 'open'],
    ['active for clients without a right', health.active && (right <= 0 || n.fence.state !== 'open')],
    ['ready before anything was seen', health.ready && last === null],
    [
      'a lag of nothing for an active that is not known',
      lagsOf(member)[n.view?.active?.value.node ?? ''] === 0 &&
        cluster.active === null &&
        n.db.facts?.role !== 'primary',
    ],
  ];
  return [
    ...rules.filter(([, wrong]) => wrong).map(([what]) => what),
    ...(n.view === null ? [] : cluster.nodes.flatMap((row) => wrongOfRow(row, world, cluster))),
  ].map((what) => `seed ${seed}: ${what}`);
}

test('whatever is known and unknown, nothing is said to be well that is not known to be', async () => {
  const wrong: string[] = [];
  for (let seed = 1; seed <= 4000 && wrong.length < 20; seed++) wrong.push(...(await wrongOf(seed)));
  expect(wrong).toEqual([]);
});

test('the worlds are such that each kind of answer comes up', async () => {
  const seen = { active: 0, silent: 0, leader: 0, ok: 0, quorum: 0, standby: 0 };
  for (let seed = 1; seed <= 500; seed++) {
    const { member } = anything(seed);
    const { active, outage, quorum, nodes } = await clusterStatusOf(member);
    if (active !== null) seen.active += 1;
    if (outage != null) seen.silent += 1;
    if (quorum !== null) seen.quorum += 1;
    if (nodes.some(({ master }) => master)) seen.leader += 1;
    if (nodes.some(({ checks }) => checks.database && checks.services)) seen.ok += 1;
    if (healthOf(member).standby) seen.standby += 1;
  }
  for (const [what, count] of Object.entries(seen)) expect([what, count > 5]).toEqual([what, true]);
});
