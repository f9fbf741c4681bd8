import { describe, expect, test } from 'bun:test';
import { health, standbyHealth } from '../fakes/agent_api.ts';
import { ON_TCP, reply, testApp } from './app.ts';

describe('/health', () => {
  test('active is 200 on the active and 503 with the reason elsewhere', async () => {
    const { agent, get } = testApp(ON_TCP);
    expect((await get('/health/active')).status).toBe(200);
    agent.healthNow = health({ active: false, reason: 'fenced: the lease ran out' });
    expect(await reply(await get('/health/active'))).toEqual({
      status: 503,
      body: { message: 'fenced: the lease ran out', error_code: 'not_active' },
    });
  });

  test('HEAD and OPTIONS have the status of GET and no body', async () => {
    const { agent, send } = testApp(ON_TCP);
    for (const [now, status] of [
      [health(), 200],
      [standbyHealth(), 503],
    ] as const) {
      agent.healthNow = now;
      for (const method of ['HEAD', 'OPTIONS']) {
        const response = await send(method, '/health/active');
        expect([response.status, await response.text()]).toEqual([status, '']);
      }
    }
  });

  test('standby with lag= is 200 within the limit, 503 past it or when the lag is unknown', async () => {
    const { agent, get } = testApp(ON_TCP);
    agent.healthNow = standbyHealth({ lagBytes: 2048 });
    expect((await get('/health/standby')).status).toBe(200);
    expect((await get('/health/standby?lag=2048')).status).toBe(200);
    expect((await get('/health/standby?lag=2kB')).status).toBe(200);
    expect((await get('/health/standby?lag=2047')).status).toBe(503);
    agent.healthNow = standbyHealth({ lagBytes: null });
    expect((await get('/health/standby')).status).toBe(200);
    expect((await get('/health/standby?lag=2048')).status).toBe(503);
    agent.healthNow = health();
    expect((await get('/health/standby?lag=2048')).status).toBe(503);
  });

  test('a lag that is no number of bytes is refused with what would be right', async () => {
    const { get } = testApp(ON_TCP);
    expect(await reply(await get('/health/standby?lag=much'))).toEqual({
      status: 400,
      body: { message: 'lag=much must be a number of bytes, or like 16MB', error_code: 'bad_usage' },
    });
  });

  test('read-only, live and ready each follow their own fact', async () => {
    const { agent, get } = testApp(ON_TCP);
    const fields = { 'read-only': 'readOnly', live: 'live', ready: 'ready' } as const;
    for (const [path, field] of Object.entries(fields)) {
      agent.healthNow = health();
      expect((await get(`/health/${path}`)).status).toBe(200);
      agent.healthNow = health({ [field]: false });
      expect((await get(`/health/${path}`)).status).toBe(503);
    }
  });
});
