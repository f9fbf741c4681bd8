/**
 * What the agent relies on of Consul's keys and values, held to by the real one and by the fake of the other
 * tests.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Absent, ConsulKv, Listed, Present, Unknown } from '../../agent/consul/port.ts';
import { type Client, harnesses } from './consul_harness.ts';

let folder = 0;
/** A folder of its own for each test. */
const fresh = (): string => `t/${++folder}/`;

/** The entry of a key that must be there. */
async function entry(kv: ConsulKv, key: string): Promise<Present['entry']> {
  const got = await kv.get(key);
  if (got.kind !== 'ok') throw new Error(`${key} is ${JSON.stringify(got)}`);
  return got.entry;
}

function known<T extends { kind: string }>(outcome: T | Unknown): T {
  if (outcome.kind === 'unknown') throw new Error(JSON.stringify(outcome));
  return outcome as T;
}

for (const harness of harnesses) {
  describe(harness.name, () => {
    let a: Client;
    let b: Client;
    let stop: () => Promise<void>;
    beforeAll(async () => {
      ({ a, b, stop } = await harness.start());
    }, 60_000);
    afterAll(() => stop());

    test('a value comes back as it was written, whatever characters it has', async () => {
      const key = `${fresh()}a key/ü?#%&`;
      for (const value of ['{"n":1,"s":"ä€😀\\n\\u0000"}', '', ' ', 'true', 'x'.repeat(100_000)]) {
        expect(await a.kv.put(key, value)).toEqual({ kind: 'ok' });
        expect((await entry(b.kv, key)).value).toBe(value);
      }
    });

    test('a missing key is absent, with an index to wait on', async () => {
      const got = await a.kv.get(`${fresh()}nothing`);
      expect(got.kind).toBe('absent');
      if (got.kind === 'absent') expect(got.meta).toMatchObject({ knownLeader: true });
      if (got.kind === 'absent') expect(got.meta.index).toBeGreaterThanOrEqual(1);
    });

    test('X-Consul-Index of a key is its ModifyIndex; CreateIndex stays', async () => {
      const key = `${fresh()}k`;
      await a.kv.put(key, '1');
      const first = await entry(a.kv, key);
      expect(first.createIndex).toBe(first.modifyIndex);
      await a.kv.put(key, '2');
      const got = await a.kv.get(key);
      if (got.kind !== 'ok') throw new Error('must be there');
      expect(got.entry.modifyIndex).toBeGreaterThan(first.modifyIndex);
      expect(got.entry.createIndex).toBe(first.createIndex);
      expect(got.meta.index).toBe(got.entry.modifyIndex);
    });

    test('writing the same value again leaves the ModifyIndex alone, by put, set and cas', async () => {
      const key = `${fresh()}k`;
      await a.kv.put(key, 'same');
      const { modifyIndex } = await entry(a.kv, key);
      await a.kv.put(key, 'same');
      await a.kv.txn([{ verb: 'set', key, value: 'same' }]);
      expect(await a.kv.put(key, 'same', { cas: modifyIndex })).toEqual({ kind: 'ok' });
      expect((await entry(a.kv, key)).modifyIndex).toBe(modifyIndex);
    });

    test('cas 0 creates, and conflicts when the key is there', async () => {
      const key = `${fresh()}k`;
      expect(await a.kv.put(key, '1', { cas: 0 })).toEqual({ kind: 'ok' });
      expect(await b.kv.put(key, '2', { cas: 0 })).toEqual({ kind: 'conflict' });
      expect((await entry(a.kv, key)).value).toBe('1');
    });

    test('cas on an old index conflicts and changes nothing; on the present one it writes', async () => {
      const key = `${fresh()}k`;
      await a.kv.put(key, '1');
      const { modifyIndex } = await entry(a.kv, key);
      expect(await a.kv.put(key, '2', { cas: modifyIndex })).toEqual({ kind: 'ok' });
      expect(await b.kv.put(key, '3', { cas: modifyIndex })).toEqual({ kind: 'conflict' });
      expect((await entry(a.kv, key)).value).toBe('2');
    });

    test('cas with an index on a missing key conflicts', async () => {
      expect(await a.kv.put(`${fresh()}k`, '1', { cas: 7 })).toEqual({ kind: 'conflict' });
    });

    test('delete with an old index conflicts, with the present one or on a missing key it is done', async () => {
      const key = `${fresh()}k`;
      await a.kv.put(key, '1');
      const { modifyIndex } = await entry(a.kv, key);
      expect(await a.kv.delete(key, { cas: 0 })).toEqual({ kind: 'conflict' });
      expect(await a.kv.delete(key, { cas: modifyIndex - 1 })).toEqual({ kind: 'conflict' });
      expect(await a.kv.delete(key, { cas: modifyIndex })).toEqual({ kind: 'ok' });
      expect((await a.kv.get(key)).kind).toBe('absent');
      expect(await a.kv.delete(key, { cas: modifyIndex })).toEqual({ kind: 'ok' });
      expect(await a.kv.delete(key)).toEqual({ kind: 'ok' });
    });

    test('recurse lists the prefix in order, and nothing as an empty list', async () => {
      const root = fresh();
      for (const name of ['b', 'a/x', 'ab', 'a']) await a.kv.put(root + name, name);
      const listed = known(await a.kv.recurse(`${root}a`));
      expect(listed.entries.map((e) => e.key)).toEqual(['a', 'a/x', 'ab'].map((name) => root + name));
      expect(listed.entries.map((e) => e.value)).toEqual(['a', 'a/x', 'ab']);
      expect(known(await a.kv.recurse(`${root}none/`)).entries).toEqual([]);
    });

    test("a prefix's index moves with its keys, also when one is deleted, and not with others", async () => {
      const root = fresh();
      await a.kv.put(`${root}in/1`, '1');
      await a.kv.put(`${root}in/2`, '2');
      const index = async (): Promise<number> => known(await a.kv.recurse(`${root}in/`)).meta.index;
      const before = await index();
      await a.kv.put(`${root}out`, '1');
      expect(await index()).toBe(before);
      await a.kv.delete(`${root}in/1`);
      expect(await index()).toBeGreaterThan(before);
    });

    test('a transaction writes all its keys under one ModifyIndex, and says which', async () => {
      const root = fresh();
      await a.kv.put(`${root}old`, 'o');
      const old = await entry(a.kv, `${root}old`);
      const done = await a.kv.txn([
        { verb: 'cas', key: `${root}lease`, value: '1', index: 0 },
        { verb: 'set', key: `${root}sync`, value: '2' },
        { verb: 'check-index', key: `${root}old`, index: old.modifyIndex },
        { verb: 'check-not-exists', key: `${root}none` },
        { verb: 'get', key: `${root}old` },
        { verb: 'delete', key: `${root}none` },
      ]);
      const lease = await entry(b.kv, `${root}lease`);
      const sync = await entry(b.kv, `${root}sync`);
      expect(lease.modifyIndex).toBe(sync.modifyIndex);
      expect(done).toEqual({
        kind: 'ok',
        indexes: {
          [`${root}lease`]: lease.modifyIndex,
          [`${root}sync`]: sync.modifyIndex,
          [`${root}old`]: old.modifyIndex,
        },
        values: { [`${root}old`]: 'o' },
      });
    });

    test('one failing operation undoes the whole transaction, and every failing one is named', async () => {
      const root = fresh();
      await a.kv.put(`${root}k`, '1');
      const { modifyIndex } = await entry(a.kv, `${root}k`);
      const key = `${root}k`;
      const none = `${root}none`;
      const outcome = await a.kv.txn([
        { verb: 'set', key: `${root}other`, value: 'x' },
        { verb: 'cas', key, value: '2', index: modifyIndex - 1 },
        { verb: 'cas', key, value: '2', index: 0 },
        { verb: 'check-index', key, index: modifyIndex - 1 },
        { verb: 'check-index', key: none, index: modifyIndex },
        { verb: 'check-index', key: none, index: 0 },
        { verb: 'check-not-exists', key },
        { verb: 'delete-cas', key, index: modifyIndex - 1 },
        { verb: 'delete-cas', key: none, index: modifyIndex },
        { verb: 'get', key: none },
        { verb: 'cas', key: none, value: '2', index: modifyIndex },
      ]);
      expect(outcome).toEqual({
        kind: 'conflict',
        errors: [
          { opIndex: 1, what: `failed to set key "${key}", index is stale` },
          { opIndex: 2, what: `failed to set key "${key}", index is stale` },
          {
            opIndex: 3,
            what: `failed index check for key "${key}", current modify index ${modifyIndex} != ${modifyIndex - 1}`,
          },
          { opIndex: 4, what: `failed to check index, key "${none}" doesn't exist` },
          { opIndex: 5, what: `failed to check index, key "${none}" doesn't exist` },
          { opIndex: 6, what: `key "${key}" exists` },
          { opIndex: 7, what: `failed to delete key "${key}", index is stale` },
          { opIndex: 9, what: `key "${none}" doesn't exist` },
          { opIndex: 10, what: `failed to set key "${none}", index is stale` },
        ],
      });
      expect((await entry(a.kv, key)).value).toBe('1');
      expect((await a.kv.get(`${root}other`)).kind).toBe('absent');
    });

    test('within a transaction each operation sees those before it', async () => {
      const root = fresh();
      const key = `${root}k`;
      await a.kv.put(key, 'old');
      const done = await a.kv.txn([
        { verb: 'delete', key },
        { verb: 'check-not-exists', key },
        { verb: 'cas', key, value: 'new', index: 0 },
        { verb: 'get', key },
      ]);
      const now = await entry(a.kv, key);
      expect(now.createIndex).toBe(now.modifyIndex);
      expect(done).toEqual({ kind: 'ok', indexes: { [key]: now.modifyIndex }, values: { [key]: 'new' } });
    });

    test('a transaction that only reads tells the indexes, and a missing key as a conflict', async () => {
      const key = `${fresh()}k`;
      await a.kv.put(key, '');
      const { modifyIndex } = await entry(a.kv, key);
      expect(await a.kv.txn([{ verb: 'get', key }])).toEqual({
        kind: 'ok',
        indexes: { [key]: modifyIndex },
        values: { [key]: '' },
      });
      expect((await a.kv.txn([{ verb: 'get', key: `${key}2` }])).kind).toBe('conflict');
    });

    test('of two holders who write on the same index one wins and the other conflicts', async () => {
      const key = `${fresh()}lease`;
      await a.kv.put(key, '0');
      for (let round = 1; round <= 10; round++) {
        const { modifyIndex: index } = await entry(a.kv, key);
        const outcomes = await Promise.all([
          a.kv.txn([{ verb: 'cas', key, value: `a${round}`, index }]),
          b.kv.txn([{ verb: 'cas', key, value: `b${round}`, index }]),
        ]);
        expect(outcomes.map((o) => o.kind).sort()).toEqual(['conflict', 'ok']);
        const winner = outcomes[0]?.kind === 'ok' ? 'a' : 'b';
        expect((await entry(a.kv, key)).value).toBe(`${winner}${round}`);
      }
    });

    test('a blocking query stands until its key changes, not when another one does', async () => {
      const root = fresh();
      await a.kv.put(`${root}k`, '1');
      const { modifyIndex: index } = await entry(a.kv, `${root}k`);
      let done = false;
      const standing = a.kv.get(`${root}k`, { index, waitMs: 20_000 }).then((got) => {
        done = true;
        return got;
      });
      await b.kv.put(`${root}other`, '1');
      await b.kv.get(`${root}other`);
      expect(done).toBe(false);
      await b.kv.put(`${root}k`, '2');
      const got = await standing;
      expect(got.kind === 'ok' && got.entry.value).toBe('2');
    });

    test('a blocking query on a missing key answers when it is made; on a present one when it is deleted', async () => {
      const key = `${fresh()}k`;
      const first = await a.kv.get(key);
      if (first.kind !== 'absent') throw new Error('must be absent');
      const standing = a.kv.get(key, { index: first.meta.index, waitMs: 20_000 });
      await b.kv.put(key, '1');
      const made = await standing;
      if (made.kind !== 'ok') throw new Error('must be there');
      const next = a.kv.get(key, { index: made.meta.index, waitMs: 20_000 });
      await b.kv.delete(key);
      const gone = await next;
      expect(gone.kind).toBe('absent');
      if (gone.kind === 'absent') expect(gone.meta.index).toBeGreaterThan(made.meta.index);
    });

    test('a cancelled blocking query comes back at once, and the next call works', async () => {
      const key = `${fresh()}k`;
      await a.kv.put(key, '1');
      const { modifyIndex: index } = await entry(a.kv, key);
      const stopIt = new AbortController();
      const standing = a.kv.get(key, { index, waitMs: 60_000, signal: stopIt.signal });
      await b.kv.get(key);
      stopIt.abort();
      expect(await standing).toMatchObject({
        kind: 'unknown',
        cause: { code: 'cancelled', maybeApplied: false },
      });
      expect((await a.kv.get(key)).kind).toBe('ok');
    });

    test('a watched key is told at first, at each change and when it is deleted; nothing after the end', async () => {
      const key = `${fresh()}k`;
      const seen: (string | undefined)[] = [];
      const end = new AbortController();
      const told = (value: Present | Absent): void => {
        seen.push(value.kind === 'ok' ? value.entry.value : undefined);
      };
      const watch = a.watch.key(key, told, { signal: end.signal });
      const until = (n: number): Promise<boolean> => harness.eventually(() => seen.length >= n);
      expect(await until(1)).toBe(true);
      await b.kv.put(key, '1');
      expect(await until(2)).toBe(true);
      await b.kv.put(`${key}-other`, 'x');
      await b.kv.put(key, '2');
      expect(await until(3)).toBe(true);
      await b.kv.delete(key);
      expect(await until(4)).toBe(true);
      end.abort();
      await watch;
      await b.kv.put(key, '3');
      expect(seen).toEqual([undefined, '1', '2', undefined]);
    });

    test('a watched prefix is told whole at each change below it', async () => {
      const root = fresh();
      const seen: string[] = [];
      const end = new AbortController();
      const told = (value: Listed): void => {
        seen.push(value.entries.map((e) => `${e.key.slice(root.length)}=${e.value}`).join(' '));
      };
      const watch = a.watch.prefix(root, told, { signal: end.signal });
      const until = (last: string): Promise<boolean> => harness.eventually(() => seen.at(-1) === last);
      expect(await until('')).toBe(true);
      await b.kv.put(`${root}a`, '1');
      expect(await until('a=1')).toBe(true);
      await b.kv.txn([
        { verb: 'set', key: `${root}a`, value: '2' },
        { verb: 'set', key: `${root}b`, value: '2' },
      ]);
      expect(await until('a=2 b=2')).toBe(true);
      await b.kv.delete(`${root}a`);
      expect(await until('b=2')).toBe(true);
      end.abort();
      await watch;
      expect(seen).toEqual(['', 'a=1', 'a=2 b=2', 'b=2']);
    });
  });
}
