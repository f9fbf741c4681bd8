import { describe, expect, test } from 'bun:test';
import { agentStatus, clusterStatus, logLine, operation, standbyHealth } from '../fakes/agent_api.ts';
import { reply, testApp } from './app.ts';

for (const version of ['v3', 'v3.1']) {
  describe(`/api/${version} for clients of Cloudify 4.x`, () => {
    const path = (rest: string) => `/api/${version}${rest}`;

    test('GET /cluster tells state and logs with timestamps in microseconds, cut by _include and since', async () => {
      const { agent, get } = testApp();
      agent.lines = [logLine(), logLine({ cursor: '1767322800000002', message: 'second' })];
      const all = await reply(await get(path('/cluster')));
      expect(all).toMatchObject({ status: 200, body: { initialized: true, error: null, active: 'm1' } });
      const cut = await get(path('/cluster?_include=initialized,logs&since=1767322800000001'));
      expect(await cut.json()).toEqual({
        initialized: true,
        logs: [{ timestamp: 1_767_322_800_000_001, message: 'second', cursor: '1767322800000002' }],
      });
    });

    test('PUT /cluster starts, or with join_addrs joins, with fields of old clients passed over', async () => {
      const { agent, send } = testApp();
      agent.operations = [operation()];
      const own = { host_ip: '10.0.0.1', node_name: 'm1', encryption_key: 'k' };
      expect((await send('PUT', path('/cluster'), own)).status).toBe(200);
      const join = { ...own, join_addrs: ['10.0.0.2'], credentials: 'tok', required: {}, options: { a: 1 } };
      expect((await send('PUT', path('/cluster'), join)).status).toBe(200);
      expect(agent.asked).toEqual([
        ['start', { hostIp: '10.0.0.1', nodeName: 'm1', options: {} }],
        [
          'join',
          { hostIp: '10.0.0.1', nodeName: 'm1', addresses: ['10.0.0.2'], options: { a: 1 }, token: 'tok' },
        ],
      ]);
      expect((await send('PUT', path('/cluster'), { node_name: 'm1' })).status).toBe(400);
    });

    test('PATCH /cluster {master} asks for a switchover', async () => {
      const { agent, send } = testApp();
      expect((await send('PATCH', path('/cluster'), { master: 'm2' })).status).toBe(200);
      expect(agent.asked).toEqual([['setActive', 'm2', 60_000, 'socket']]);
    });

    test('nodes are listed as items with metadata, told one by one, and removed with 200', async () => {
      const { agent, get, send } = testApp();
      const list = (await (await get(path('/cluster/nodes'))).json()) as {
        items: object[];
        metadata: object;
      };
      expect(list.metadata).toEqual({ pagination: { total: 3, size: 3, offset: 0 } });
      expect(list.items[1]).toEqual({
        name: 'm2',
        host_ip: '127.0.0.12',
        public_ip: '127.0.0.12',
        online: true,
        master: false,
        initialized: true,
        checks: { consul: true, services: true, database: true, heartbeat: true, filesync: true },
      });
      expect(await (await get(path('/cluster/nodes/m2'))).json()).toMatchObject({
        options: { priority: 100 },
      });
      expect((await get(path('/cluster/nodes/m9'))).status).toBe(404);
      expect((await send('DELETE', path('/cluster/nodes/m3'))).status).toBe(200);
      expect(agent.asked).toEqual([['remove', 'm3']]);
    });

    test('changes asked of a standby are refused with not_cluster_master, and have no effect', async () => {
      const { agent, send } = testApp();
      agent.healthNow = standbyHealth();
      for (const answer of [
        await send('PATCH', path('/cluster'), { master: 'm2' }),
        await send('DELETE', path('/cluster/nodes/m3')),
      ]) {
        expect(await reply(answer)).toMatchObject({
          status: 400,
          body: { error_code: 'not_cluster_master' },
        });
      }
      expect(agent.asked).toEqual([]);
    });

    test('a removed node says so', async () => {
      const { agent, get, send } = testApp();
      agent.healthNow = standbyHealth({ standby: false });
      agent.statusNow = agentStatus({ removed: true });
      for (const answer of [
        await get(path('/cluster')),
        await get(path('/status')),
        await send('PATCH', path('/cluster'), { master: 'm2' }),
      ]) {
        expect(await reply(answer)).toMatchObject({
          status: 400,
          body: { error_code: 'removed_from_cluster' },
        });
      }
    });

    test('GET /status is 200 with the services on the active, 400 on a standby and outside a cluster', async () => {
      const { agent, get } = testApp();
      expect(await reply(await get(path('/status')))).toEqual({
        status: 200,
        body: {
          status: 'running',
          services: [
            {
              display_name: 'Management Worker',
              unit_id: 'mgmtworker',
              instances: [
                { Id: 'mgmtworker', LoadState: 'loaded', ActiveState: 'active', SubState: 'running' },
              ],
            },
            {
              display_name: 'nginx',
              unit_id: 'nginx',
              instances: [{ Id: 'nginx', LoadState: 'loaded', ActiveState: 'failed', SubState: 'failed' }],
            },
          ],
        },
      });
      agent.healthNow = standbyHealth();
      expect(await reply(await get(path('/status')))).toMatchObject({
        status: 400,
        body: { error_code: 'not_cluster_master' },
      });
      agent.statusNow = agentStatus({ initialized: false });
      agent.clusters = [clusterStatus({ initialized: false })];
      expect((await get(path('/status'))).status).toBe(400);
    });

    test('GET /version is the manager of the configuration', async () => {
      const { get } = testApp();
      expect(await (await get(path('/version'))).json()).toEqual({
        edition: 'premium',
        version: '4.6',
        build: '7',
        date: null,
        commit: null,
      });
    });
  });
}
