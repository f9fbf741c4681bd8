/**
 * Answers that Consul does not give, or gives in trouble. What it does give: test/contract/consul.test.ts.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createConsulClient } from '../../agent/consul/client.ts';
import type { ConsulKv } from '../../agent/consul/port.ts';
import { type HttpStub, startStub } from '../fixtures/http_stub.ts';

const INDEX = { 'X-Consul-Index': '5' };
let server: HttpStub;
let kv: ConsulKv;
beforeAll(async () => {
  server = await startStub();
  kv = createConsulClient({ servers: [server.url], attemptMs: 500, deadlineMs: 500 }).kv;
});
afterAll(() => server.close());

const row = (key: string) => JSON.stringify([{ Key: key, Value: 'MQ==', CreateIndex: 1, ModifyIndex: 5 }]);

test("404 without Consul's index is not an absent key", async () => {
  server.answer({ status: 404, body: 'nginx' });
  expect(await kv.get('k')).toMatchObject({ kind: 'unknown', cause: { code: 'bad_answer', status: 404 } });
  expect(await kv.recurse('k')).toMatchObject({ kind: 'unknown' });
});

test('a page, another key, or half a JSON is no value', async () => {
  for (const body of ['<html>', row('other'), row('k').slice(0, 20), '[]', '[null]', 'null', '']) {
    server.answer({ status: 200, body, headers: INDEX });
    expect(await kv.get('k')).toMatchObject({
      kind: 'unknown',
      cause: { code: 'bad_answer', maybeApplied: false },
    });
  }
});

test('a key that is there is read; a server without leader says so', async () => {
  server.answer({
    status: 200,
    body: row('k'),
    headers: { ...INDEX, 'X-Consul-Knownleader': 'false', 'X-Consul-Lastcontact': '40' },
  });
  expect(await kv.get('k', { consistency: 'stale' })).toMatchObject({
    kind: 'ok',
    entry: { value: '1', modifyIndex: 5 },
    meta: { index: 5, knownLeader: false, lastContactMs: 40 },
  });
  expect(server.seen.at(-1)?.path).toBe('/v1/kv/k?stale');
});

test('index 0 from a server counts as 1: waiting on 0 would not wait', async () => {
  server.answer({ status: 404, headers: { 'X-Consul-Index': '0' } });
  expect(await kv.get('k')).toMatchObject({ kind: 'absent', meta: { index: 1 } });
});

test('403 is denied and certainly not applied', async () => {
  server.answer({ status: 403, body: 'Permission denied' });
  const denied = {
    kind: 'unknown',
    // What Consul said stays in here.
    cause: { code: 'denied', maybeApplied: false, message: 'Consul refuses the token of this node' },
  };
  expect(await kv.get('k')).toMatchObject(denied);
  expect(await kv.put('k', '1')).toMatchObject(denied);
  expect(await kv.txn([{ verb: 'set', key: 'k', value: '1' }])).toMatchObject(denied);
});

test('500, a reset, half an answer and silence leave a write unknown, maybe applied, sent once', async () => {
  for (const answer of [
    { status: 500, body: 'rpc error' },
    'reset',
    'close',
    'half',
    'silent',
    'stuck',
  ] as const) {
    server.answer(answer);
    for (const write of [
      () => kv.put('k', '1', { deadlineMs: 100 }),
      () => kv.delete('k', { deadlineMs: 100 }),
      () => kv.txn([{ verb: 'set', key: 'k', value: '1' }], { deadlineMs: 100 }),
    ]) {
      const before = server.seen.length;
      expect(await write()).toMatchObject({ kind: 'unknown', cause: { maybeApplied: true } });
      expect(server.seen.length - before).toBe(1);
    }
  }
});

test('an answer to a write that is neither true nor false is unknown, maybe applied', async () => {
  for (const body of ['', 'maybe', '<html>']) {
    server.answer({ status: 200, body });
    expect(await kv.put('k', '1')).toMatchObject({
      kind: 'unknown',
      cause: { code: 'bad_answer', maybeApplied: true },
    });
    expect(await kv.txn([{ verb: 'set', key: 'k', value: '1' }])).toMatchObject({ kind: 'unknown' });
  }
});

test('409 without a reason of Consul is unknown, not a conflict', async () => {
  for (const body of ['conflict', '{}', '{"Results":null,"Errors":null}']) {
    server.answer({ status: 409, body });
    expect(await kv.txn([{ verb: 'set', key: 'k', value: '1' }])).toMatchObject({ kind: 'unknown' });
  }
});

test('a transaction goes out as Consul wants it', async () => {
  server.answer({ status: 200, body: '{"Results":[],"Errors":null}' });
  await kv.txn([
    { verb: 'cas', key: 'a b', value: '1', index: 0 },
    { verb: 'check-index', key: 'k', index: 9 },
    { verb: 'delete', key: 'k' },
  ]);
  const { method, path, body } = server.seen.at(-1) ?? {};
  expect({ method, path }).toEqual({ method: 'PUT', path: '/v1/txn' });
  expect(JSON.parse(body ?? '')).toEqual([
    { KV: { Verb: 'cas', Key: 'a b', Value: 'MQ==', Index: 0 } },
    { KV: { Verb: 'check-index', Key: 'k', Index: 9 } },
    { KV: { Verb: 'delete', Key: 'k' } },
  ]);
});

test('a blocking query carries index and wait; index 0 does not block', async () => {
  server.answer({ status: 404, headers: INDEX });
  await kv.get('k', { index: 7, waitMs: 1_500, consistency: 'consistent' });
  expect(server.seen.at(-1)?.path).toBe('/v1/kv/k?consistent&index=7&wait=1500ms');
  await kv.recurse('p/', { index: 0 });
  expect(server.seen.at(-1)?.path).toBe('/v1/kv/p/?recurse');
});
