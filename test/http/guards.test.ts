import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Hono } from 'hono';
import { replyError } from '../../agent/http/errors.ts';
import { bodyText, guards } from '../../agent/http/guards.ts';
import { createHttpServer, type HttpServer } from '../../agent/http/server.ts';
import { FakeAgent } from '../fakes/agent_api.ts';
import { type Flood, flood } from '../fixtures/flood.ts';
import { testLog } from '../fixtures/log.ts';
import { freePort } from '../fixtures/postgres.ts';
import { ON_TCP, reply, testApp } from './app.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

describe('every reply', () => {
  test('is not kept, guessed at or framed, refusals too', async () => {
    const { get } = testApp();
    for (const path of ['/health/live', '/api/v1/status', '/nothing']) {
      const { headers } = await get(path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toContain('no-store');
      expect(headers.get('x-frame-options')).toBe('DENY');
    }
  });
});

describe('a change', () => {
  test('comes as JSON, or is refused before it is read', async () => {
    const { app, agent } = testApp();
    for (const type of [
      undefined,
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const headers = type === undefined ? {} : { 'content-type': type };
      const sent = await app.request('/api/v1/pause', { method: 'POST', headers, body: '{}' });
      expect(await reply(sent)).toMatchObject({
        status: 415,
        body: { error_code: 'unsupported_media_type' },
      });
    }
    expect(agent.asked).toEqual([]);
    const right = await app.request('/api/v1/pause', {
      method: 'POST',
      headers: { 'content-type': 'Application/JSON; charset=utf-8' },
      body: '{}',
    });
    expect(right.status).toBe(200);
  });
  test.each(['cross-site', 'same-site'])(
    'from a page that is %s is refused; reading is not',
    async (site) => {
      const { app, agent } = testApp();
      const headers = { ...JSON_TYPE, 'sec-fetch-site': site };
      expect((await app.request('/api/v1/pause', { method: 'POST', headers, body: '{}' })).status).toBe(403);
      expect((await app.request('/api/v1/nodes/m2', { method: 'DELETE', headers })).status).toBe(403);
      expect(agent.asked).toEqual([]);
      expect((await app.request('/api/v1/status', { headers })).status).toBe(200);
    },
  );
});

describe('a body', () => {
  test('of a stranger is at most 16 KB, of others 1 MB', async () => {
    const { app } = testApp();
    const send = (path: string, bytes: number) =>
      app.request(path, {
        method: 'POST',
        headers: JSON_TYPE,
        body: JSON.stringify({ x: 'x'.repeat(bytes) }),
      });
    expect((await send('/api/v1/peer/admit', 20_000)).status).toBe(413);
    expect((await send('/api/v1/start', 20_000)).status).toBe(400);
    expect((await send('/api/v1/start', 1_100_000)).status).toBe(413);
  });
  test('in pieces is counted as it comes, and read behind the password', async () => {
    const { app, agent } = testApp();
    const endless = () =>
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(4096).fill(120)) });
    const sent = await app.request('/api/v1/peer/admit', {
      method: 'POST',
      headers: JSON_TYPE,
      body: endless(),
      duplex: 'half',
    } as RequestInit);
    expect(await reply(sent)).toMatchObject({ status: 413, body: { error_code: 'too_large' } });
    const tcp = testApp({ ...ON_TCP, openReads: false });
    let pulled = 0;
    const counted = new ReadableStream(
      {
        pull: (controller) => {
          pulled += 1;
          controller.enqueue(new Uint8Array(4096).fill(120));
        },
      },
      { highWaterMark: 0 },
    );
    const refused = await tcp.app.request('/api/v1/start', {
      method: 'POST',
      headers: JSON_TYPE,
      body: counted,
      duplex: 'half',
    } as RequestInit);
    expect(refused.status).toBe(401);
    expect(pulled).toBeLessThan(3);
    expect(agent.asked).toEqual([]);
  });
  test('that does not come in whole is given up', async () => {
    const app = new Hono();
    app.onError(replyError());
    app.post('/', async (c) => c.text(await bodyText(c, 50)));
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":')),
    });
    const sent = await app.request('/', { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect(await reply(sent)).toMatchObject({ status: 408, body: { error_code: 'too_slow' } });
  });
});

describe('many requests at once', () => {
  test('of one address take their share; another address, and the end of one, find room', async () => {
    const app = new Hono();
    app.onError(replyError());
    for (const guard of guards()) app.use(guard);
    const waiting: (() => void)[] = [];
    app.get('/', async (c) => {
      await new Promise<void>((done) => waiting.push(done));
      return c.text('done');
    });
    const from = (remoteAddress: string) => app.request('/', {}, { incoming: { socket: { remoteAddress } } });
    app.get('/health/live', (c) => c.text('well'));
    const held = Array.from({ length: 32 }, () => from('10.0.0.1'));
    expect((await from('10.0.0.1')).status).toBe(503);
    const env = { incoming: { socket: { remoteAddress: '10.0.0.1' } } };
    expect((await app.request('/health/live', {}, env)).status).toBe(200);
    // To say that one is a peer is not to be one.
    const claims = { headers: { authorization: 'Peer m1:x' } };
    expect((await app.request('/api/v1/peer/vote', claims, env)).status).toBe(503);
    const certified = { incoming: { socket: { remoteAddress: '10.0.0.3', authorized: true } } };
    expect((await app.request('/api/v1/peer/vote', claims, certified)).status).toBe(404);
    const other = from('10.0.0.2');
    await new Promise((done) => setTimeout(done, 10));
    expect(waiting).toHaveLength(33);
    for (const done of waiting) done();
    expect((await other).status).toBe(200);
    expect((await Promise.all(held)).every(({ status }) => status === 200)).toBe(true);
    const again = from('10.0.0.1');
    await new Promise((done) => setTimeout(done, 10));
    waiting.at(-1)?.();
    expect((await again).status).toBe(200);
  });
});

describe('three thousand connections with unfinished bodies', () => {
  const COUNT = 3000;
  let server: HttpServer;
  let port: number;
  let held: Flood | undefined;

  beforeAll(async () => {
    const log = testLog();
    server = createHttpServer({
      api: new FakeAgent(),
      manager: { edition: 'x', version: '1' },
      log: log.for('http'),
      secret: () => 's',
      open: true,
    });
    port = await freePort('127.0.61.1');
    await server.listenTcp('127.0.61.1', port);
  });
  afterAll(async () => {
    held?.end();
    await server.close();
  });

  test('take no room to speak of, and others are answered all the while', async () => {
    const before = process.memoryUsage().rss;
    held = await flood('127.0.61.1', port, COUNT);
    for (let i = 0; i < 10; i += 1) {
      const health = await fetch(`http://127.0.61.1:${port}/health/live`, {
        signal: AbortSignal.timeout(30_000),
      });
      expect(health.status).toBe(200);
      await new Promise((done) => setTimeout(done, 50));
    }
    const grown = (process.memoryUsage().rss - before) / 1024 / 1024;
    console.log(`${COUNT} connections: ${grown.toFixed(0)} MB more, both ends of them in this process`);
    expect(grown).toBeLessThan(400);
    // Those whose head was whole are refused, or given up at the body's deadline.
    const given = Date.now() + 90_000;
    while (held.ended() < 1000 && Date.now() < given) await new Promise((done) => setTimeout(done, 100));
    console.log(`${held.ended()} of them were ended`);
    expect(held.ended()).toBeGreaterThanOrEqual(1000);
  }, 120_000);
});
