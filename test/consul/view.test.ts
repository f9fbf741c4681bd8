import { describe, expect, test } from 'bun:test';
import type { KvEntry } from '../../agent/consul/port.ts';
import { consulPort, type DecodeCache, viewOf } from '../../agent/consul/view.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { stateOf } from '../fixtures/signed.ts';

const prefix = 'p/';
const lease = {
  schema: 1,
  holder: 'a',
  instance: 'boot-a',
  epoch: 5,
  seq: 40,
  reason: 'test',
  from: null,
  clean: null,
  closedForMs: null,
};
const nodeOf = (hostIp: string) => ({
  schema: 1,
  hostIp,
  publicIp: null,
  apiPort: 8700,
  postgresPort: 5432,
  version: '1',
  options: { priority: 100, nofailover: false, maintenance: false },
});
const state = stateOf(false);
const sync = { schema: 1, leader: 'a', epoch: 5, timeline: 1, history: [], voters: [], k: 0 };

let index = 10;
const entry = (key: string, value: unknown): KvEntry => ({
  key: `${prefix}${key}`,
  value: typeof value === 'string' ? value : JSON.stringify(value),
  createIndex: 1,
  modifyIndex: ++index,
});
const read = (cache: DecodeCache, ...entries: KvEntry[]) => viewOf(entries, prefix, index, cache);

describe('a value that is not understood', () => {
  test.each([
    ['empty', '', 'it is empty'],
    ['written half way', '{"schema":1,"role":"sta', 'it is not JSON'],
    ['of a newer version', { ...state, schema: 2 }, 'schema: '],
    ['of a wrong type', { ...state, timeline: 'one' }, 'timeline: '],
    ['no record at all', '17', 'it: '],
    ['far too long', 'x'.repeat(300_000), 'it has 300000 bytes'],
  ])('%s: that key is named, and everything else is read', (_, value, why) => {
    const view = read(
      new Map(),
      entry('next_master', lease),
      entry('state/b', value),
      entry('state/c', state),
    );
    expect(view.lease?.value.holder).toBe('a');
    expect(Object.keys(view.states)).toEqual(['c']);
    expect(view.unreadable?.['state/b']?.startsWith(why)).toBe(true);
    expect(Object.keys(view.unreadable ?? {})).toEqual(['state/b']);
  });
  test('everything understood: nothing is said', () => {
    expect('unreadable' in read(new Map(), entry('state/b', state))).toBe(false);
  });
  test('a member stays one, as it was last understood, or with nothing but its name', () => {
    const cache: DecodeCache = new Map();
    read(cache, entry('nodes/b', nodeOf('10.0.0.2')));
    expect(read(cache, entry('nodes/b', '{')).nodes.b?.hostIp).toBe('10.0.0.2');
    expect(read(new Map(), entry('nodes/b', '{')).nodes.b?.hostIp).toBe('');
  });
  test('sync: what was last understood, under an index that no write matches', () => {
    const cache: DecodeCache = new Map();
    const good = entry('sync', sync);
    expect(read(cache, good).sync?.index).toBe(good.modifyIndex);
    const bad = read(cache, entry('sync', { ...sync, schema: 2 }));
    expect(bad.sync?.value.leader).toBe('a');
    expect(bad.sync?.index).toBeGreaterThan(index);
    expect(read(new Map(), entry('sync', '')).sync).toBeNull();
  });
  test('the lease: nothing of it is shown, and it is named', () => {
    const cache: DecodeCache = new Map();
    read(cache, entry('next_master', lease));
    const view = read(cache, entry('next_master', { ...lease, schema: 2 }));
    expect(view.lease).toBeNull();
    expect(view.unreadable?.next_master).toBeDefined();
  });
  test('put right, it is read again', () => {
    const cache: DecodeCache = new Map();
    read(cache, entry('state/b', ''));
    const view = read(cache, entry('state/b', state));
    expect(view.states.b?.clone).toBe('b1b1b1b1');
    expect(view.unreadable).toBeUndefined();
  });
  test('keys that are none of ours, and names of the language, are nothing', () => {
    const view = read(
      new Map(),
      entry('constructor', '{'),
      entry('toString/x', '{'),
      entry('nodes/__proto__', '{'),
    );
    expect(view.unreadable).toBeUndefined();
    expect(Object.keys(view.nodes)).toEqual([]);
  });
});

test('fields of a newer version are kept when a record is written again', async () => {
  const client = new FakeConsul({ nodes: ['node-1'], now: () => 0 }).client();
  await client.kv.put('p/next_master', JSON.stringify({ ...lease, later: { and: 'deeper' } }));
  const port = consulPort(client.kv, prefix, () => {});
  const seen = await port.read(1000);
  if (seen === 'unknown' || seen.lease === null) throw new Error('must be read');
  const { value, index: at } = seen.lease;
  const next = { ...value, seq: value.seq + 1 };
  expect(await port.txn([{ verb: 'cas', key: 'next_master', value: next, index: at }], 1000)).toMatchObject({
    kind: 'ok',
  });
  const got = await client.kv.get('p/next_master');
  expect(got.kind === 'ok' && JSON.parse(got.entry.value)).toEqual({
    ...lease,
    seq: 41,
    later: { and: 'deeper' },
  });
});

test('each bad value is told once, and again when it is bad in another way', async () => {
  const client = new FakeConsul({ nodes: ['node-1'], now: () => 0 }).client();
  const told: string[] = [];
  const port = consulPort(client.kv, prefix, (key, why) => told.push(`${key}: ${why}`));
  await client.kv.put('p/state/b', '');
  await port.read(1000);
  await port.read(1000);
  await client.kv.put('p/state/b', '{');
  await port.read(1000);
  expect(told).toEqual(['state/b: it is empty', 'state/b: it is not JSON']);
});
