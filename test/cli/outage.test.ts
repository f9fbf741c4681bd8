/** The command line when nobody knows, and when something waits. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { NodeRow } from '../../agent/api/types.ts';
import { AgentError } from '../../agent/errors.ts';
import { clusterStatus, nodeRow } from '../fakes/agent_api.ts';
import { type Bench, bench } from './harness.ts';

let on: Bench;
beforeEach(async () => {
  on = await bench();
});
afterEach(() => on.close());

const none = { consul: false, services: false, database: false, heartbeat: false, filesync: false };
const silent = (name: string, host_ip: string, over: Partial<NodeRow> = {}): NodeRow =>
  nodeRow({
    ...{ name, host_ip, state: 'offline', online: false, lag: null, checks: none, reason: 'following m1' },
    ...{ silent: true, silent_for: 125_000, last_word: '2026-01-02T03:04:05.678Z' },
    ...over,
  });

const lost = clusterStatus({
  active: null,
  since: null,
  error: 'Consul does not answer',
  last_active: { node: 'm1', epoch: 3, since: '2026-01-02T03:00:00.000Z' },
  quorum: { servers: 3, alive: 1, survives: 0, lost: true, missing: ['m2', 'm3'] },
  outage: {
    kind: 'no_quorum',
    message: 'NO QUORUM: no manager can be active; 1 of 3 alive; bring back m2 or m3, or the network to them',
    notes: ['what is shown of other nodes is at least 120.0 s old'],
    since: '2026-01-02T03:04:10.000Z',
    silent_for: 120_000,
  },
  nodes: [
    nodeRow({ checks: { ...none, services: true, filesync: true }, silent: false, silent_for: null }),
    silent('m2', '127.0.0.12'),
    silent('m3', '127.0.0.13', { state: 'unknown', silent_for: null, last_word: null }),
  ],
});

test('cluster status begins with the outage, calls nothing well, and ends with 1', async () => {
  on.agent.clusters = [lost];
  const { code, out } = await on.cli('cluster status');
  expect(code).toBe(1);
  expect(`\n${out}`).toMatchInlineSnapshot(`
    "
    NO QUORUM: no manager can be active; 1 of 3 alive; bring back m2 or m3, or the network to them
      Consul last answered at 2026-01-02 03:04:10Z, 2 min 0 s ago
      what is shown of other nodes is at least 120.0 s old

    cluster      c0ffee
    active       NONE known; the last was m1, epoch 3, since 2026-01-02 03:00:00Z
    replication  any 1 of m2, m3 confirms each commit
    consul       1 of 3 servers alive: no quorum

    name  host_ip     state    consul  cloudify services  database  heartbeat  filesync  lag  last word
    m1    127.0.0.11  replica  FAIL    OK                 FAIL      FAIL       OK        0 B
    m2    127.0.0.12  offline  silent  silent             silent    silent     silent      -  2 min 5 s ago
    m3    127.0.0.13  unknown  silent  silent             silent    silent     silent      -  never
    "
  `);
});

test('its JSON has the same, and ends with 1 too', async () => {
  on.agent.clusters = [lost];
  const { code, out } = await on.cli('cluster status --json');
  expect([code, JSON.parse(out)]).toEqual([1, lost]);
});

test('nodes list begins with it as well, and nodes get calls the last word that', async () => {
  on.agent.clusters = [lost];
  expect((await on.cli('cluster nodes list')).out).toStartWith('NO QUORUM: ');
  const { out } = await on.cli('cluster nodes get m2');
  expect(out).toMatch(/^last word +2 min 5 s ago$/m);
  expect(out).toMatch(/^it said +following m1$/m);
  expect(out).toMatch(/^database +silent$/m);
});

test('what an older agent answers is shown as before', async () => {
  on.agent.clusters = [clusterStatus()];
  const { code, out } = await on.cli('cluster status');
  expect([code, out.split('\n')[0]]).toEqual([0, 'cluster      c0ffee']);
});

test('set-active that waits prints what for, once, and again when its time is over', async () => {
  const request = (items: number) => ({
    request: { id: 'req-1', target: 'm2', refused: null, waiting: `m2: it lacks ${items} files` },
  });
  on.agent.clusters = [clusterStatus(), ...[90, 80, 70, 60].map((n) => clusterStatus(request(n)))];
  const { code, err } = await on.cli('cluster set-active m2 --timeout 5');
  const lines = err.split('\n');
  expect(code).toBe(5);
  expect(lines.filter((line) => line.startsWith('waiting'))).toEqual(['waiting  m2: it lacks 60 files']);
  expect(err).toContain('is not done after 5.00 s and still going; it waits: m2: it lacks 60 files');
});

test('set-active whose target has the lease and does not open yet says what the target says', async () => {
  const opening = nodeRow({ name: 'm2', reason: 'promoted: waiting for a standby' });
  const later = clusterStatus({ active: null, epoch: 4, nodes: [nodeRow(), opening] });
  on.agent.clusters = [clusterStatus(), later];
  const { err } = await on.cli('cluster set-active m2 --timeout 5');
  expect(err).toContain('it waits: m2: promoted: waiting for a standby');
});

test('set-active in an outage asks for nothing', async () => {
  on.agent.clusters = [lost];
  const { code, err } = await on.cli('cluster set-active m2');
  expect([code, on.agent.asked]).toEqual([1, []]);
  expect(err).toContain('no switchover was requested: NO QUORUM: no manager can be active');
});

test('set-active into an outage says that, and a quick one says nothing of waiting', async () => {
  on.agent.clusters = [clusterStatus(), lost];
  const { code, err } = await on.cli('cluster set-active m2 --timeout 5');
  expect([code, err]).toEqual([5, expect.stringContaining('it waits: NO QUORUM: ')]);
  const request = { id: 'req-1', target: 'm2', refused: null, waiting: 'm1 waits for a checkpoint' };
  on.agent.clusters = [
    clusterStatus(),
    clusterStatus({ request }),
    clusterStatus({ active: 'm2', epoch: 4 }),
  ];
  expect((await on.cli('cluster set-active m2')).err).toBe('');
});

test('an agent that cannot say is waited for', async () => {
  on.agent.clusters = [clusterStatus()];
  let asked = 0;
  const { cluster } = on.agent;
  on.agent.cluster = () => {
    asked++;
    const away = new AgentError({ class: 'transient', code: 'consul_unknown', message: 'no Consul' });
    return asked === 2 ? Promise.reject(away) : cluster();
  };
  expect((await on.cli('cluster set-active m2 --timeout 1')).err).toContain('still going\n');
});
