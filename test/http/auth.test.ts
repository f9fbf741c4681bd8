import { describe, expect, test } from 'bun:test';
import { ON_TCP, reply, SECRET, testApp } from './app.ts';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('who may do what', () => {
  test('over TCP a mutation without a bearer is 401, with a wrong one 403, and neither has an effect', async () => {
    const { agent, send, log } = testApp(ON_TCP);
    expect((await send('POST', '/api/v1/resume')).status).toBe(401);
    expect((await send('POST', '/api/v1/resume', {}, bearer('guess'))).status).toBe(403);
    expect((await send('DELETE', '/api/v3.1/cluster/nodes/m3')).status).toBe(401);
    expect(agent.asked).toEqual([]);
    expect(log.messages()).toEqual([
      'http: audit: who="nobody" from="unknown" what="POST /api/v1/resume" outcome="401 unauthorized" times="1"',
      'http: audit: who="nobody" from="unknown" what="POST /api/v1/resume" outcome="403 forbidden" times="1"',
      'http: audit: who="nobody" from="unknown" what="DELETE /api/v3.1/cluster/nodes/m3" outcome="401 unauthorized" times="1"',
    ]);
  });

  test('a mutation is done, and audited, for the bearer of the secret and on the socket', async () => {
    const tcp = testApp(ON_TCP);
    expect((await tcp.send('POST', '/api/v1/resume', {}, bearer(SECRET))).status).toBe(200);
    const socket = testApp();
    expect((await socket.send('POST', '/api/v1/resume')).status).toBe(200);
    expect([tcp.agent.asked, socket.agent.asked]).toEqual([[['resume']], [['resume']]]);
    expect(socket.log.messages()).toEqual([
      'http: audit: who="socket" from="socket" what="POST /api/v1/resume" outcome="200" times="1"',
    ]);
  });

  test('reads are closed to strangers where the listener is not open', async () => {
    const { get } = testApp({ ...ON_TCP, openReads: false });
    for (const path of ['/api/v1/status', '/api/v3.1/status', '/metrics']) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, bearer(SECRET))).status).toBe(200);
    }
    expect((await get('/health/active')).status).toBe(200);
  });

  test('what peers ask is answered for the bearer alone, on the socket too', async () => {
    const { agent, send } = testApp();
    for (const [method, path] of [
      ['POST', 'vote'],
      ['GET', 'state'],
      ['POST', 'enrol'],
      ['POST', 'reclone'],
    ] as const) {
      expect((await send(method, `/api/v1/peer/${path}`)).status).toBe(401);
      expect((await send(method, `/api/v1/peer/${path}`, undefined, bearer('x'))).status).toBe(403);
    }
    expect(agent.asked).toEqual([]);
  });

  test('nobody is let in by the secret of a node that has none', async () => {
    const { send } = testApp({ ...ON_TCP, secret: () => null });
    expect((await send('POST', '/api/v1/resume', {}, bearer('null'))).status).toBe(403);
    expect((await send('POST', '/api/v1/peer/reclone', {}, bearer('')))?.status).toBe(401);
  });

  test('admission is open to a joining manager only where the listener says so', async () => {
    const body = {
      nodeName: 'm4',
      hostIp: '127.0.0.14',
      publicIp: null,
      apiPort: 8700,
      postgresPort: 5432,
      version: '0.1.0',
      priority: 100,
      nofailover: false,
      lease: { retryPeriod: 1000, renewDeadline: 4000, leaseDuration: 6000 },
    };
    const open = testApp(ON_TCP);
    expect(await reply(await open.send('POST', '/api/v1/peer/admit', body))).toMatchObject({
      status: 200,
      body: { clusterId: 'c0ffee' },
    });
    expect(open.agent.asked).toEqual([['admit', body]]);
    const closed = testApp({ ...ON_TCP, openAdmission: false });
    expect((await closed.send('POST', '/api/v1/peer/admit', body)).status).toBe(401);
    expect((await closed.send('POST', '/api/v1/peer/admit', body, bearer(SECRET))).status).toBe(200);
  });
});
