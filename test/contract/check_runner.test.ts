import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Checks, createChecks } from '../../agent/checks/create.ts';
import type { NodeRole } from '../../agent/checks/port.ts';
import { CHECK_DEFAULTS, CHECK_NAMES, type CheckName } from '../../agent/config/checks.ts';
import { makeConfig, requireNode } from '../../agent/config/index.ts';
import { type ConsulClient, createConsulClient } from '../../agent/consul/client.ts';
import { until } from '../../agent/platform/clock.ts';
import { primaryFacts } from '../checks/build.ts';
import { type PlainServer, plainServer } from '../checks/server.ts';
import { type RunningConsul, startConsul } from '../fixtures/consul.ts';
import { testLog } from '../fixtures/log.ts';

/** Made for a node with replicated files, or with certificates. */
const NOT_HERE: readonly CheckName[] = ['filesync', 'certificates'];

const ip = '127.0.0.73';
const dir = mkdtempSync(join(tmpdir(), 'agent-check-runner-'));
const world = { role: 'active' as NodeRole, missing: [] as string[] };
let server: PlainServer;
let consul: RunningConsul;
let client: ConsulClient;
let checks: Checks;
let changes = 0;

const bootConsul = (data: string) =>
  startConsul({ ip, dir: join(dir, data), nodeName: 'node-1', bootstrap: true });

beforeAll(async () => {
  server = await plainServer('127.0.0.71');
  await server.start();
  consul = await bootConsul('consul');
  client = createConsulClient({ servers: [consul.url] });
  const { port, socketDir } = server.target;
  checks = createChecks({
    config: requireNode(
      makeConfig({
        node_name: 'node-1',
        host_ip: server.target.host,
        paths: { state_dir: dir },
        checks: { disk_free_min: '1MB' },
        postgres: { data_dir: server.dataDir, port, socket_dir: socketDir },
      }),
    ),
    log: testLog().for('check-runner'),
    catalog: client.catalog,
    readers: {
      role: () => world.role,
      pgFacts: () => ({ facts: primaryFacts, at: performance.now() }),
      activeHost: () => '192.0.2.1',
      fence: () => 'open',
      services: () => ({ running: [], missing: world.missing, missingAlways: [] }),
      lastBeat: () => performance.now(),
    },
  });
  checks.onChange(() => changes++);
  checks.start();
}, 90_000);

afterAll(async () => {
  checks.stop();
  await consul.kill();
  await server.end();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

async function inConsul(): Promise<Record<string, string>> {
  const health = await client.catalog.serviceHealth('manager');
  const manager = health.kind === 'ok' ? health.value[0] : undefined;
  const rows = manager?.checks.filter((check) => check.serviceId !== '') ?? [];
  return Object.fromEntries([
    ['tags', manager?.tags.join() ?? 'none'],
    ...rows.map((check) => [check.name, check.status]),
  ]);
}
/** Passing; what looks at the machine may also warn, as of one with little room. */
const isWell = (name: CheckName): [string, string[]] => [
  name,
  CHECK_DEFAULTS[name].group === 'node' ? ['passing', 'warning'] : ['passing'],
];
const consulSays = (expected: Record<string, string | string[]>, timeout = 15_000) =>
  until(
    async () => {
      const seen = await inConsul();
      return Object.entries(expected).every(([name, fine]) => [fine].flat().includes(seen[name] ?? ''));
    },
    { timeout, every: 100 },
  );

describe('the check-runner with real PostgreSQL and Consul', () => {
  test('all checks pass, and Consul lists the manager as active with each of them', async () => {
    const made = CHECK_NAMES.filter((name) => !NOT_HERE.includes(name));
    expect(await consulSays({ tags: 'active', ...Object.fromEntries(made.map(isWell)) })).toBe(true);
    expect(Object.keys(checks.summary().all).sort()).toEqual(made.toSorted());
    expect(checks.summary()).toMatchObject({ failing: [], weak: [] });
    expect(Object.entries(checks.summary().all).filter(([, { ok }]) => !ok)).toEqual([]);
  }, 30_000);

  test('a stopped postmaster is failing within its fall count and a second, here and in Consul; and well again after', async () => {
    server.signal('SIGSTOP');
    const since = performance.now();
    try {
      const failing = () => checks.summary().failing.includes('postgres_select');
      expect(await until(failing, { timeout: 10_000 })).toBe(true);
      // 3 runs a second apart, the last one up to its limit of 0.75 s, and up to 1 s before the first.
      expect(performance.now() - since).toBeLessThan(45_000);
      expect(await consulSays({ postgres_select: 'critical' })).toBe(true);
    } finally {
      server.signal('SIGCONT');
    }
    expect(await until(() => checks.summary().failing.length === 0, { timeout: 15_000 })).toBe(true);
    expect(await consulSays({ postgres_select: 'passing' })).toBe(true);
  }, 60_000);

  test('a service that died is failing two seconds after the poke', async () => {
    const before = changes;
    world.missing = ['worker'];
    const since = performance.now();
    checks.poke('services');
    expect(await until(() => checks.summary().failing.includes('services'), { timeout: 10_000 })).toBe(true);
    expect(performance.now() - since).toBeLessThan(35_000);
    expect(changes).toBeGreaterThan(before);
    world.missing = [];
    expect(await until(() => checks.summary().failing.length === 0, { timeout: 15_000 })).toBe(true);
  }, 40_000);

  test('a change of role changes the tag, and what is asked', async () => {
    world.role = 'standby';
    checks.roleChanged();
    expect(await consulSays({ tags: 'standby' }, 5000)).toBe(true);
    const write = () => checks.summary().all.postgres_write?.output;
    expect(await until(() => write() === 'not the active', { timeout: 30_000 })).toBe(true);
    world.role = 'active';
    checks.roleChanged();
    expect(await consulSays({ tags: 'active' }, 5000)).toBe(true);
  }, 30_000);

  test('a Consul that lost its data is told everything again', async () => {
    await consul.kill();
    expect(await until(() => checks.summary().all.consul?.ok === false, { timeout: 20_000 })).toBe(true);
    consul = await bootConsul('consul-2');
    expect(
      await consulSays({ tags: 'active', postgres_select: 'passing', services: 'passing' }, 30_000),
    ).toBe(true);
  }, 90_000);

  test('a stopped runner: its checks run out in Consul, the manager stays listed', async () => {
    checks.stop();
    expect(await consulSays({ tags: 'active', postgres_select: 'critical' }, 20_000)).toBe(true);
    expect(await until(() => server.own().length === 0, { timeout: 30_000 })).toBe(true);
  }, 40_000);
});
