/** Services, checks, members and operator calls: the same on Consul and on the fake. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Unknown } from '../../agent/consul/port.ts';
import type { ServiceInstance, ServiceRegistration, Value } from '../../agent/consul/port_catalog.ts';
import { type Client, harnesses } from './consul_harness.ts';

function value<T>(outcome: Value<T> | Unknown): T {
  if (outcome.kind === 'unknown') throw new Error(JSON.stringify(outcome));
  return outcome.value;
}

function manager(id: string, over: Partial<ServiceRegistration> = {}): ServiceRegistration {
  const checks = [{ id: `${id}:database`, name: 'database', ttlMs: 60_000 }];
  return { id, name: id, address: '192.0.2.7', port: 8700, tags: ['standby'], checks, ...over };
}

for (const harness of harnesses) {
  describe(harness.name, () => {
    let a: Client;
    let nodeName: string;
    let stop: () => Promise<void>;
    beforeAll(async () => {
      ({ a, nodeName, stop } = await harness.start());
    }, 60_000);
    afterAll(() => stop());

    async function only(name: string): Promise<ServiceInstance> {
      const found = value(await a.catalog.serviceHealth(name));
      expect(found).toHaveLength(1);
      return found[0] as ServiceInstance;
    }
    /** What the catalog says of the service's own check; the local agent tells the servers a little later. */
    const check = async (id: string): Promise<string> => {
      const own = (await only(id)).checks.find((c) => c.serviceId === id);
      return `${own?.status} ${own?.output}`.trim();
    };

    test('a registered service is listed with its address, tags and a check that is critical at first', async () => {
      expect(await a.catalog.registerService(manager('first'))).toEqual({ kind: 'ok' });
      expect(
        await harness.eventually(async () => value(await a.catalog.serviceHealth('first')).length === 1),
      ).toBe(true);
      const found = await only('first');
      expect(found).toMatchObject({
        node: nodeName,
        id: 'first',
        address: '192.0.2.7',
        port: 8700,
        tags: ['standby'],
      });
      expect(found.checks.map((c) => c.id).sort()).toEqual(['first:database', 'serfHealth']);
      expect(await check('first')).toBe('critical');
    });

    test('an update of a TTL check shows with its output', async () => {
      await a.catalog.registerService(manager('ttl'));
      for (const status of ['passing', 'warning', 'critical', 'passing'] as const) {
        expect(await a.catalog.updateTtl('ttl:database', status, `it is ${status}`)).toEqual({ kind: 'ok' });
        expect(
          await harness.eventually(async () => (await check('ttl')) === `${status} it is ${status}`),
        ).toBe(true);
      }
    });

    test('registering again changes the tags, and keeps the state of the checks', async () => {
      await a.catalog.registerService(manager('again'));
      await a.catalog.updateTtl('again:database', 'passing', 'fine');
      await a.catalog.registerService(manager('again', { tags: ['active'] }));
      expect(await harness.eventually(async () => (await only('again')).tags[0] === 'active')).toBe(true);
      expect(await harness.eventually(async () => (await check('again')) === 'passing fine')).toBe(true);
    });

    test('registering again without a check removes it', async () => {
      const two = [...manager('fewer').checks, { id: 'fewer:disk', name: 'disk', ttlMs: 60_000 }];
      await a.catalog.registerService(manager('fewer', { checks: two }));
      await a.catalog.registerService(manager('fewer'));
      const ids = async (): Promise<string> =>
        (await only('fewer')).checks
          .map((c) => c.id)
          .sort()
          .join(' ');
      expect(await harness.eventually(async () => (await ids()) === 'fewer:database serfHealth')).toBe(true);
      expect(await a.catalog.updateTtl('fewer:disk', 'passing', '')).toEqual({ kind: 'absent' });
    });

    test('a TTL check that is not updated turns critical, and its service stays listed', async () => {
      const checks = [{ id: 'old:database', name: 'database', ttlMs: 300 }];
      await a.catalog.registerService(manager('old', { checks }));
      await a.catalog.updateTtl('old:database', 'passing', 'was fine');
      expect(
        await harness.eventually(async () => (await check('old')).startsWith('critical TTL expired')),
      ).toBe(true);
    });

    test('an update of an unknown check is absent', async () => {
      expect(await a.catalog.updateTtl('nobody:nothing', 'passing', '')).toEqual({ kind: 'absent' });
    });

    test('a deregistered service is gone, and deregistering it again is done', async () => {
      await a.catalog.registerService(manager('gone'));
      expect(await a.catalog.deregisterService('gone')).toEqual({ kind: 'ok' });
      expect(
        await harness.eventually(async () => value(await a.catalog.serviceHealth('gone')).length === 0),
      ).toBe(true);
      expect(await a.catalog.deregisterService('gone')).toEqual({ kind: 'ok' });
    });

    test('one server is member, leader, peer and voter under one name', async () => {
      const [member] = value(await a.catalog.members());
      expect(member).toMatchObject({ name: nodeName, status: 'alive', server: true });
      const [server] = value(await a.catalog.raftConfiguration());
      expect(server).toMatchObject({ node: nodeName, id: member?.nodeId ?? '', leader: true, voter: true });
      expect(value(await a.catalog.leader())).toBe(server?.address);
      expect(value(await a.catalog.peers())).toEqual([server?.address ?? '']);
      expect(value(await a.catalog.self())).toMatchObject({
        nodeName,
        nodeId: server?.id ?? '',
        server: true,
      });
    });

    test('removing a Raft peer or a member that does not exist is absent', async () => {
      expect(await a.catalog.removeRaftPeer('00000000-0000-0000-0000-000000000000')).toEqual({
        kind: 'absent',
      });
      expect(await a.catalog.forceLeave('nobody', { prune: true })).toEqual({ kind: 'absent' });
    });

    test('autopilot settings are written once, stand, and are then left alone', async () => {
      const other = { cleanupDeadServers: true, serverStabilizationMs: 5_000 };
      const wanted = { cleanupDeadServers: false, serverStabilizationMs: 0 };
      await a.catalog.ensureAutopilot(other);
      expect(value(await a.catalog.autopilot())).toEqual(other);
      expect(await a.catalog.ensureAutopilot(wanted)).toEqual({ kind: 'ok', changed: true });
      expect(value(await a.catalog.autopilot())).toEqual(wanted);
      expect(await a.catalog.ensureAutopilot(wanted)).toEqual({ kind: 'ok', changed: false });
    });
  });
}
