import { expect, test } from 'bun:test';
import { checkId, consulTtl } from '../../agent/checks/consul_ttl.ts';
import type { NodeRole } from '../../agent/checks/port.ts';
import type { CheckReport } from '../../agent/checks/runner.ts';
import type { CheckName } from '../../agent/config/index.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { testLog } from '../fixtures/log.ts';
import { virtualTime } from './virtual_time.ts';

const ttls: Partial<Record<CheckName, number>> = { postgres_select: 5000, services: 10_000, disk: 180_000 };

function setUp() {
  const time = virtualTime();
  const { clock } = time;
  const fake = new FakeConsul({ now: () => clock.now() });
  const { catalog, faults } = fake.client();
  const calls: string[] = [];
  const statuses: Record<string, CheckReport['status']> = { postgres_select: 'passing', services: 'passing' };
  const state = { role: 'standby' as NodeRole, resultsAt: null as number | null };
  const log = testLog();
  const ttl = consulTtl({
    catalog: {
      registerService: (service, options) => {
        calls.push(`${clock.now()} register ${service.tags}`);
        return catalog.registerService(service, options);
      },
      updateTtl: (id, status, output, options) => {
        calls.push(`${clock.now()} ${id.split(':')[1]} ${status}`);
        return catalog.updateTtl(id, status, output, options);
      },
    },
    node: 'node-1',
    address: '192.0.2.1',
    port: 8700,
    ttls,
    reports: () =>
      Object.entries(statuses).map(([name, status]) => ({
        name: name as CheckName,
        status,
        output: `it is ${status}`,
        at: state.resultsAt ?? clock.now(),
      })),
    role: () => state.role,
    clock,
    timers: time.timers,
    log: log.for('check-runner'),
  });
  const manager = async () => {
    const health = await catalog.serviceHealth('manager');
    return health.kind === 'ok' ? health.value[0] : undefined;
  };
  const inConsul = async () =>
    Object.fromEntries((await manager())?.checks.map((check) => [check.name, check.status]) ?? []);
  const taken = () => calls.splice(0);
  return { ...time, ttl, faults, statuses, state, taken, manager, inConsul, messages: log.messages, fake };
}

test('the service is registered with the role as its tag and a TTL check for each check', async () => {
  const { ttl, pass, manager } = setUp();
  ttl.start();
  await pass(0);
  expect(await manager()).toMatchObject({
    id: 'manager-node-1',
    name: 'manager',
    address: '192.0.2.1',
    port: 8700,
    tags: ['standby'],
    checks: [
      { id: 'serfHealth' },
      { id: checkId('node-1', 'postgres_select'), status: 'passing', output: 'it is passing' },
      { id: checkId('node-1', 'services'), status: 'passing' },
      // No result yet: not known to be well.
      { id: checkId('node-1', 'disk'), status: 'critical', output: '' },
    ],
  });
});

test('a result that stays the same is repeated every third of its TTL, several in one beat', async () => {
  const { ttl, pass, taken } = setUp();
  ttl.start();
  await pass(0);
  taken();
  await pass(10_000);
  const times = (name: string, calls: string[]) =>
    calls
      .filter((call) => call.includes(name))
      .map((call) => Math.round(Number(call.split(' ')[0]) / 100) / 10);
  const calls = taken();
  expect(times('postgres_select', calls)).toEqual([1.5, 3, 4.5, 6, 7.5, 9]);
  expect(times('services', calls)).toEqual([3, 6, 9]);
});

test('a changed status is passed on at once', async () => {
  const { ttl, pass, taken, statuses } = setUp();
  ttl.start();
  await pass(100);
  taken();
  statuses.services = 'critical';
  ttl.wake();
  await pass(0);
  expect(taken()).toEqual(['100 services critical']);
});

test('a change of role registers the new tag, and every result again', async () => {
  const { ttl, pass, taken, state, manager } = setUp();
  ttl.start();
  await pass(100);
  taken();
  state.role = 'active';
  ttl.wake();
  await pass(0);
  expect(taken()).toEqual(['100 register active', '100 postgres_select passing', '100 services passing']);
  expect((await manager())?.tags).toEqual(['active']);
  state.role = 'none';
  ttl.wake();
  await pass(0);
  expect((await manager())?.tags).toEqual([]);
});

test('it registers again when Consul has lost the service', async () => {
  const { ttl, pass, taken, inConsul, fake } = setUp();
  ttl.start();
  await pass(0);
  fake.state.services.get('node-1')?.clear();
  taken();
  await pass(3000);
  expect(taken().map((call) => call.split(' ').slice(1).join(' '))).toContain('register standby');
  expect(await inConsul()).toMatchObject({ postgres_select: 'passing', services: 'passing' });
});

test('it tries again while Consul does not answer, and says so once', async () => {
  const { ttl, pass, faults, statuses, inConsul, messages } = setUp();
  ttl.start();
  await pass(0);
  faults.setUnavailable(true);
  statuses.services = 'critical';
  ttl.wake();
  await pass(20_000);
  // Nobody has refreshed them.
  faults.setUnavailable(false);
  expect(await inConsul()).toMatchObject({ postgres_select: 'critical' });
  await pass(1000);
  expect(await inConsul()).toMatchObject({ postgres_select: 'passing', services: 'critical' });
  expect(messages()).toEqual([
    'check-runner: Consul does not take check results: fake: unreachable',
    'check-runner: Consul takes check results again',
  ]);
});

test('results that are no longer renewed run out in Consul, though the passing on still works', async () => {
  const { ttl, pass, state, inConsul } = setUp();
  ttl.start();
  await pass(0);
  state.resultsAt = 0;
  await pass(12_000);
  expect((await inConsul()).postgres_select).toBe('critical');
});

test('after stop nothing is sent: the checks turn critical, the service stays listed', async () => {
  const { ttl, pass, taken, manager, inConsul, pending } = setUp();
  ttl.start();
  await pass(0);
  ttl.stop();
  taken();
  await pass(20_000);
  expect([taken(), pending()]).toEqual([[], 0]);
  expect((await manager())?.id).toBe('manager-node-1');
  expect(await inConsul()).toMatchObject({ postgres_select: 'critical', services: 'critical' });
});
