import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { consul } from '../../agent/checks/consul.ts';
import { disk } from '../../agent/checks/disk.ts';
import { heartbeat } from '../../agent/checks/heartbeat.ts';
import type { Check, NodeRole, Readers } from '../../agent/checks/port.ts';
import { postgresFollowing } from '../../agent/checks/postgres_following.ts';
import { services } from '../../agent/checks/services.ts';
import type { PgFacts } from '../../agent/core/postgres.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { standbyFacts } from './build.ts';

/** `verdict: output`, or `throws: message`. */
const said = (check: Check) =>
  check.run({ ms: 1000, signal: new AbortController().signal }).then(
    ({ verdict, output }) => `${verdict}: ${output}`,
    (error: Error) => `throws: ${error.message}`,
  );

describe('postgres_following', () => {
  const follow = (
    role: NodeRole,
    facts: Partial<PgFacts> | null,
    over: { at?: number; activeHost?: null } = {},
  ) =>
    said(
      postgresFollowing(
        {
          role: () => role,
          pgFacts: () =>
            facts === null ? null : { facts: { ...standbyFacts, ...facts }, at: over.at ?? 1000 },
          activeHost: () => (over.activeHost === null ? null : '192.0.2.1'),
        },
        () => 5000,
        4000,
      ),
    );

  test('a standby passes while it streams from the active', async () => {
    expect(await follow('standby', {})).toBe('pass: streams from the active at 192.0.2.1');
  });

  test('a standby fails when it does not stream, or streams from another node, or none is active', async () => {
    expect(await follow('standby', { streaming: false })).toBe(
      'fail: does not stream from the active at 192.0.2.1',
    );
    expect(await follow('standby', { upstreamHost: '192.0.2.2' })).toBe(
      'fail: follows 192.0.2.2, not the active at 192.0.2.1',
    );
    expect(await follow('standby', { upstreamHost: null })).toBe(
      'fail: follows nobody, not the active at 192.0.2.1',
    );
    expect(await follow('standby', {}, { activeHost: null })).toBe('fail: no active to follow is known');
  });

  test('the database must be what the role says', async () => {
    expect(await follow('active', { role: 'primary' })).toBe('pass: a primary');
    expect(await follow('active', {})).toBe('fail: active, but its database is a standby');
    expect(await follow('standby', { role: 'primary' })).toBe(
      'fail: a standby, but its database is a primary',
    );
    expect(await follow('standby', { process: 'stopped' })).toBe('fail: the database is not running');
  });

  test('what is not known, or was seen too long ago, is not called failed: it throws', async () => {
    expect(await follow('standby', null)).toStartWith('throws');
    expect(await follow('standby', {}, { at: 999 })).toStartWith('throws');
    expect(await follow('active', { role: 'unknown' })).toStartWith('throws');
  });

  test('it does not apply to a node that is neither active nor standby', async () => {
    expect(await follow('none', null)).toStartWith('skip');
  });
});

describe('services', () => {
  const check = (role: NodeRole, seen: ReturnType<Readers['services']>, optional: string[] = []) =>
    said(services({ role: () => role, services: () => seen }, optional));
  const idle = { running: [], missing: ['rabbitmq', 'mgmtworker'], missingAlways: [] };

  test('services of the active are expected on the active, and not on a standby', async () => {
    expect(await check('active', idle)).toBe('fail: not running: rabbitmq, mgmtworker');
    expect(await check('standby', idle)).toBe('pass: all services run');
  });

  test('services of every role are expected on a standby too', async () => {
    expect(await check('standby', { ...idle, missingAlways: ['nginx'] })).toBe('fail: not running: nginx');
  });

  test('one that is not critical only warns; with a critical one it fails', async () => {
    const down = { running: [], missing: ['composer'], missingAlways: [] };
    expect(await check('active', down, ['composer'])).toBe('warn: not running: composer');
    expect(await check('active', { ...down, missing: ['composer', 'rabbitmq'] }, ['composer'])).toStartWith(
      'fail',
    );
  });

  test('while a role change starts or stops them it does not apply; never observed it throws', async () => {
    expect(await check('active', 'changing')).toStartWith('skip');
    expect(await check('none', idle)).toStartWith('skip');
    expect(await check('active', null)).toStartWith('throws');
  });
});

describe('consul', () => {
  const setUp = () => {
    const fake = new FakeConsul({ nodes: ['node-1', 'node-2', 'node-3'] });
    const { catalog, faults } = fake.client('node-2');
    return { state: fake.state, faults, check: consul(catalog, 'node-2') };
  };

  test('it passes with a leader, a vote of the own server, and Serf content', async () => {
    expect(await said(setUp().check)).toBe("pass: there is a leader, and this node's server votes");
  });

  test('it fails without a leader', async () => {
    const { state, check } = setUp();
    state.raft = state.raft.map((server) => ({ ...server, leader: false }));
    expect(await said(check)).toBe('fail: Consul has no leader');
  });

  test('it fails while the own server does not vote, or is not there', async () => {
    const { state, check } = setUp();
    state.raft = state.raft.map((server) => ({ ...server, voter: server.node !== 'node-2' }));
    expect(await said(check)).toBe('fail: the Consul server of node-2 has no vote yet');
    state.raft = state.raft.filter((server) => server.node !== 'node-2');
    expect(await said(check)).toBe('fail: node-2 is not a Consul server of this cluster');
  });

  test('it fails when Serf calls the own node something other than alive', async () => {
    const { state, check } = setUp();
    state.members = state.members.map((member) => ({ ...member, status: 'leaving' }));
    expect(await said(check)).toBe("fail: Serf says that node-2 is 'leaving'");
  });

  test('it throws when Consul does not answer: nothing was found out', async () => {
    const { faults, check } = setUp();
    faults.setUnavailable(true);
    expect(await said(check)).toBe('throws: Consul names no Raft leader: fake: unreachable');
  });
});

test('heartbeat fails when the last decision is older than its limit', async () => {
  const check = (age: number) => said(heartbeat({ lastBeat: () => 1000 }, () => 1000 + age, 30_000));
  expect(await check(30_000)).toBe('pass: the agent decides in time');
  expect(await check(30_001)).toBe('fail: the agent has not decided anything for 30 s');
});

describe('disk', () => {
  const dir = () => mkdtempSync(join(tmpdir(), 'disk-check-'));

  test('it passes with room, and names each folder that lacks it', async () => {
    const data = dir();
    expect(await said(disk({ 'the database': data, 'the agent': data }, 1_000_000))).toBe(
      'pass: at least 1 MB free',
    );
    const limit = 10 ** 18;
    expect(await said(disk({ 'the database': data }, limit))).toBe(
      `fail: less than 1000000000000 MB free for the database (${data})`,
    );
    rmSync(data, { recursive: true });
  });

  test('a folder that does not exist yet is judged by the volume it will lie on', async () => {
    const data = dir();
    expect(await said(disk({ 'the agent': join(data, 'not', 'yet') }, 1))).toStartWith('pass');
    rmSync(data, { recursive: true });
  });
});
