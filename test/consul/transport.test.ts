import { expect, test } from 'bun:test';
import type { HttpFailure, HttpReply, HttpRequest } from '../../agent/consul/http.ts';
import { type Call, ConsulTransport, type TransportOptions } from '../../agent/consul/transport.ts';

const READ: Call = { method: 'GET', path: '/v1/kv/x' };
const WRITE: Call = { method: 'PUT', path: '/v1/kv/x', body: '1' };
const BLOCK: Call = { method: 'GET', path: '/v1/kv/x?index=3', blockMs: 60_000 };

type Say = (request: HttpRequest) => HttpReply | HttpFailure | Promise<HttpReply | HttpFailure>;

const ok: Say = () => ({ kind: 'reply', status: 200, headers: new Headers(), body: '"here"' });
const status =
  (code: number): Say =>
  () => ({ kind: 'reply', status: code, headers: new Headers(), body: 'no' });
const refused: Say = () => ({ kind: 'failure', code: 'unreachable', message: 'refused' });
const broken: Say = () => ({ kind: 'failure', code: 'broken', message: 'reset' });

/** Servers a, b, c that say what the test wants, on a clock that only timeouts and pauses move. */
function cluster(servers: Record<string, Say>, over: Partial<TransportOptions> = {}) {
  let time = 0;
  const pass = (ms: number): void => {
    time += ms;
  };
  const asked: string[] = [];
  const silent: Say = ({ timeoutMs }) => {
    time += timeoutMs;
    return { kind: 'failure', code: 'timeout', message: 'silent' };
  };
  const transport = new ConsulTransport({
    servers: Object.keys(servers),
    now: () => time,
    sleep: async (ms) => pass(ms),
    send: async (request) => {
      const name = request.url.split('/')[0] ?? '';
      asked.push(request.url.includes('status/leader') ? `${name}?` : name);
      return (servers[name] ?? silent)(request);
    },
    ...over,
  });
  return { transport, asked, silent, servers, time: () => time, pass };
}

test('the first server answers: nobody else is asked', async () => {
  const { transport, asked } = cluster({ a: ok, b: ok });
  expect(await transport.call(READ)).toMatchObject({ kind: 'reply', server: 'a' });
  expect(asked).toEqual(['a']);
});

for (const [name, say] of [
  ['refused', refused],
  ['500', status(500)],
  ['429', status(429)],
  ['reset', broken],
] as const) {
  test(`a read goes on to the next server (${name}) and the next call stays there`, async () => {
    const { transport, asked } = cluster({ a: say, b: ok, c: ok });
    expect(await transport.call(READ)).toMatchObject({ server: 'b' });
    await transport.call(READ);
    expect(asked).toEqual(['a', 'b', 'b']);
  });
}

test('a silent server costs a read one attempt, then the next one answers', async () => {
  const world = cluster({ a: ok, b: ok });
  world.servers.a = world.silent;
  expect(await world.transport.call(READ, { attemptMs: 400 })).toMatchObject({ server: 'b' });
  expect(world.time()).toBe(400);
});

test('with all servers silent a call ends at its deadline, not later', async () => {
  const world = cluster({ a: ok, b: ok, c: ok });
  for (const name of ['a', 'b', 'c']) world.servers[name] = world.silent;
  expect(await world.transport.call(READ, { deadlineMs: 2_500 })).toMatchObject({
    kind: 'unknown',
    cause: { code: 'timeout' },
  });
  expect(world.time()).toBe(2_500);
  expect(world.asked).toEqual(['a', 'b', 'c']);
});

test('a read asks all again after a pause while an election lasts', async () => {
  const world = cluster({ a: status(500), b: status(500) });
  world.servers.b = () => (world.time() < 300 ? status(500) : ok)({} as HttpRequest);
  expect(await world.transport.call(READ)).toMatchObject({ server: 'b' });
  expect(world.time()).toBe(300);
});

test('a write goes on only while it certainly was not sent', async () => {
  const { transport, asked } = cluster({ a: refused, b: ok });
  expect(await transport.call(WRITE)).toMatchObject({ server: 'b' });
  expect(asked).toEqual(['a', 'b']);
});

test('a write to servers that all refuse was not applied', async () => {
  const { transport } = cluster({ a: refused, b: refused });
  expect(await transport.call(WRITE)).toMatchObject({ cause: { code: 'unreachable', maybeApplied: false } });
});

for (const [name, say] of [
  ['500', status(500)],
  ['reset', broken],
] as const) {
  test(`a write that may have arrived (${name}) is unknown and sent nowhere else; the next call goes elsewhere`, async () => {
    const { transport, asked } = cluster({ a: say, b: ok });
    expect(await transport.call(WRITE)).toMatchObject({
      kind: 'unknown',
      cause: { maybeApplied: true, server: 'a' },
    });
    await transport.call(READ);
    expect(asked).toEqual(['a', 'b']);
  });
}

test('a write that a silent server may have is unknown after one attempt', async () => {
  const world = cluster({ a: ok, b: ok });
  world.servers.a = world.silent;
  const outcome = await world.transport.call(WRITE, { attemptMs: 400 });
  expect(outcome).toMatchObject({ kind: 'unknown', cause: { code: 'timeout', maybeApplied: true } });
  expect(world.time()).toBe(400);
});

test('a write refused by one server and left unanswered by the next is maybe applied', async () => {
  const { transport } = cluster({ a: refused, b: broken, c: ok });
  expect(await transport.call(WRITE)).toMatchObject({ cause: { maybeApplied: true, server: 'b' } });
});

test('404, 409 and 403 are answers: the caller judges them', async () => {
  for (const code of [404, 409, 403]) {
    const { transport } = cluster({ a: status(code), b: ok });
    expect(await transport.call(WRITE)).toMatchObject({ kind: 'reply', status: code, server: 'a' });
  }
});

test('a local call asks the first server only, once, and its failure moves nobody away', async () => {
  const { transport, asked } = cluster({ a: refused, b: ok });
  expect(await transport.call(READ, { target: 'local' })).toMatchObject({ cause: { code: 'unreachable' } });
  expect(asked).toEqual(['a']);
  expect(transport.server).toBe('a');
});

test("after a while the node's own server is asked beside a call, and used again once it has a leader", async () => {
  const world = cluster({ a: refused, b: ok }, { homeProbeMs: 10_000 });
  await world.transport.call(READ);
  world.servers.a = () => ({ kind: 'reply', status: 200, headers: new Headers(), body: '""' });
  world.pass(10_000);
  await world.transport.call(READ);
  await world.transport.call(READ);
  world.servers.a = ok;
  world.pass(10_000);
  await world.transport.call(READ);
  // The probe's answer is taken in a turn of its own.
  await new Promise((resolve) => setTimeout(resolve, 0));
  await world.transport.call(READ);
  expect(world.asked).toEqual(['a', 'b', 'b', 'a?', 'b', 'b', 'a?', 'a']);
});

test('a blocking query goes round once and may take the wait longer than a call', async () => {
  const world = cluster({ a: refused, b: ok });
  world.servers.b = world.silent;
  const outcome = await world.transport.call(BLOCK, { deadlineMs: 3_000, attemptMs: 1_000 });
  expect(outcome).toMatchObject({ kind: 'unknown', cause: { code: 'timeout', maybeApplied: false } });
  expect(world.time()).toBe(61_000);
});

test('a blocking query is cut from a server that another call finds silent, and goes on at the next', async () => {
  const world = cluster({ a: ok, b: ok });
  world.servers.a = (request) => {
    if (!request.url.includes('index')) return world.silent(request);
    return new Promise((resolve) => {
      request.signal?.addEventListener('abort', () =>
        resolve({ kind: 'failure', code: 'cancelled', message: '' }),
      );
    });
  };
  const standing = world.transport.call(BLOCK);
  await world.transport.call(WRITE);
  expect(await standing).toMatchObject({ kind: 'reply', server: 'b' });
});

test('a cancelled call says so and blames no server', async () => {
  const { transport } = cluster({ a: () => ({ kind: 'failure', code: 'cancelled', message: '' }), b: ok });
  expect(await transport.call(WRITE)).toMatchObject({ cause: { code: 'cancelled' } });
  expect(transport.server).toBe('a');
});

test('a new list keeps to the server in use if it is still there', async () => {
  const { transport } = cluster({ a: refused, b: ok, c: ok });
  await transport.call(READ);
  transport.setServers(['c', 'b']);
  expect(transport.server).toBe('b');
  transport.setServers(['a', 'c']);
  expect(transport.server).toBe('a');
  expect(() => transport.setServers([])).toThrow(RangeError);
});

test('the token goes along, and a new one from the next call on', async () => {
  const seen: unknown[] = [];
  const note: Say = (request) => {
    seen.push(request.headers);
    return ok(request);
  };
  const { transport } = cluster({ a: note }, { token: 'one' });
  await transport.call(READ);
  transport.setToken('two');
  await transport.call(READ);
  expect(seen).toEqual([{ 'X-Consul-Token': 'one' }, { 'X-Consul-Token': 'two' }]);
});
