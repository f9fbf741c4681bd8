import { afterEach, expect, test } from 'bun:test';
import { fetchSend } from '../../agent/consul/http.ts';
import { type Answer, type HttpStub, startStub } from '../fixtures/http_stub.ts';

const send = fetchSend();
const stubs: HttpStub[] = [];

async function stub(first?: Answer): Promise<HttpStub> {
  const made = await startStub(first);
  stubs.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(stubs.splice(0).map((made) => made.close()));
});

const get = (url: string, timeoutMs = 2_000) => send({ method: 'GET', url: `${url}/v1/x`, timeoutMs });
const put = (url: string, timeoutMs = 2_000) =>
  send({ method: 'PUT', url: `${url}/v1/x`, body: 'b', timeoutMs });

test('any status is a reply, with its body and headers', async () => {
  const server = await stub({ status: 500, body: 'No cluster leader', headers: { 'X-Consul-Index': '7' } });
  const reply = await put(server.url);
  expect(reply).toMatchObject({ kind: 'reply', status: 500, body: 'No cluster leader' });
  if (reply.kind === 'reply') expect(reply.headers.get('x-consul-index')).toBe('7');
});

test('a refused connection is unreachable: nothing was sent', async () => {
  const server = await stub();
  await server.close();
  expect(await put(server.url)).toMatchObject({ kind: 'failure', code: 'unreachable' });
});

for (const answer of ['reset', 'close', 'half'] as const) {
  test(`a connection that ends (${answer}) before a whole answer is broken, not unreachable`, async () => {
    const server = await stub(answer);
    expect(await put(server.url)).toMatchObject({ kind: 'failure', code: 'broken' });
    expect(await get(server.url)).toMatchObject({ kind: 'failure', code: 'broken' });
  });

  test(`a write whose connection ends (${answer}) is not sent again, not even after a pooled read`, async () => {
    const server = await stub();
    await get(server.url);
    await get(server.url);
    server.answer(answer);
    const before = server.seen.length;
    await put(server.url);
    expect(server.seen.length - before).toBe(1);
  });
}

for (const answer of ['silent', 'stuck'] as const) {
  test(`a server that does not finish (${answer}) is a timeout at the deadline, and its connection is closed`, async () => {
    const server = await stub(answer);
    const started = performance.now();
    expect(await put(server.url, 100)).toMatchObject({ kind: 'failure', code: 'timeout' });
    expect(performance.now() - started).toBeLessThan(20_000);
    server.answer({ status: 200, body: 'true' });
    expect(await put(server.url)).toMatchObject({ kind: 'reply', body: 'true' });
  });
}

test('a signal that fired before is cancelled without a request; one that fires later cancels at once', async () => {
  const server = await stub('silent');
  const request = { method: 'GET', url: server.url, timeoutMs: 60_000 } as const;
  expect(await send({ ...request, signal: AbortSignal.abort() })).toMatchObject({ code: 'cancelled' });
  expect(server.seen).toHaveLength(0);
  const stop = new AbortController();
  const standing = send({ ...request, signal: stop.signal });
  stop.abort();
  expect(await standing).toMatchObject({ code: 'cancelled' });
  server.answer({ status: 200 });
  expect(await get(server.url)).toMatchObject({ kind: 'reply' });
});

test('reads share one kept-alive connection; 300 aborted ones leave none open and the next works', async () => {
  const server = await stub({ status: 200, body: 'ok' });
  for (let i = 0; i < 20; i++) await get(server.url);
  expect(server.connections).toBe(1);
  server.answer('silent');
  // More than the 256 requests that Bun's client has under way at once.
  for (let round = 0; round < 6; round++) {
    const stop = new AbortController();
    const standing = Array.from({ length: 50 }, () =>
      send({ method: 'GET', url: server.url, timeoutMs: 60_000, signal: stop.signal }),
    );
    stop.abort();
    for (const outcome of await Promise.all(standing)) expect(outcome).toMatchObject({ code: 'cancelled' });
  }
  server.answer({ status: 200, body: 'ok' });
  expect(await get(server.url)).toMatchObject({ kind: 'reply', body: 'ok' });
  while (server.open > 1) await get(server.url);
  expect(server.open).toBeLessThanOrEqual(1);
});

test('a server with TLS is not asked before there is an authority to check it by', async () => {
  const server = await stub({ status: 200, body: 'true' });
  const url = server.url.replace('http:', 'https:');
  const asked = await fetchSend(() => undefined)({ method: 'PUT', url, body: 'b', timeoutMs: 2_000 });
  expect(asked).toMatchObject({
    kind: 'failure',
    code: 'unreachable',
    message: expect.stringContaining('authority'),
  });
});
