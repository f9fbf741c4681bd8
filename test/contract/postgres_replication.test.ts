/**
 * Replication on real servers: votes and quorum commit (PROTOCOL A, D), switchover, and following without a
 * restart.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { parseLsn } from '../../agent/core/lsn.ts';
import type { Position } from '../../agent/core/postgres.ts';
import { slotName } from '../../agent/roles/postgres/index.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const replicationAuth = { password: "p'a:s\\s w0rd" };
const timed = async <T>(what: string, work: Promise<T>): Promise<T> => {
  const began = performance.now();
  const result = await work;
  console.log(`${what}: ${(performance.now() - began).toFixed(0)} ms`);
  return result;
};

if (asServerUser(import.meta.path)) {
  describe('three servers', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;
    let c: TestServer;
    const count = async (s: TestServer) => Number((await s.sql('select count(*)::int as n from t'))[0]?.n);
    const waiting = async (s: TestServer) =>
      Number(
        (await s.sql("select count(*)::int as n from pg_stat_activity where wait_event = 'SyncRep'"))[0]?.n,
      );

    beforeAll(async () => {
      group = createGroup('pg-three');
      a = await group.server('a', { data: true, replicationAuth });
      b = await group.server('b', { replicationAuth });
      c = await group.server('node-C', { replicationAuth });
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.ensureReplicationRole(2000)).toEqual(done);
      await a.sql('create table t (i int primary key, who text)');
    });
    afterAll(() => group.end());

    test('a wrong password copies nothing and leaves nothing behind', async () => {
      const stranger = await group.server('stranger', { replicationAuth: { password: 'wrong' } });
      const outcome = await stranger.pg.basebackup(a.upstream, () => {}, new AbortController().signal);
      expect(outcome).toMatchObject({ kind: 'failed', why: expect.stringContaining('password') });
      expect((await stranger.pg.facts(10_000)).data).toBe('empty');
    });

    test('a basebackup reports its bytes, can be cancelled, and comes up as a streaming standby of its own slot', async () => {
      const cancel = new AbortController();
      const cancelled = b.pg.basebackup(a.upstream, () => cancel.abort(), cancel.signal);
      expect(await cancelled).toMatchObject({ kind: 'failed', why: expect.stringContaining('cancelled') });
      expect((await b.pg.facts(10_000)).data).toBe('empty');

      const seen: number[] = [];
      expect(
        await timed(
          'basebackup',
          b.pg.basebackup(a.upstream, (p) => seen.push(p.bytes ?? 0), new AbortController().signal),
        ),
      ).toEqual(done);
      expect(Math.max(...seen)).toBeGreaterThan(20_000_000);
      await joinStandby(a, b);
      await joinStandby(a, c);
      expect(await b.pg.facts(500)).toMatchObject({
        role: 'standby',
        streaming: true,
        upstreamHost: a.options.host,
        standbySignal: true,
      });
      const slots = await a.sql('select slot_name, active from pg_replication_slots order by 1');
      expect(slots).toMatchObject(
        [slotName('b'), slotName('node-C')].sort().map((slot_name) => ({ slot_name, active: true })),
      );
      const senders = (await a.pg.facts(10_000)).walSenders;
      expect(senders.map((s) => [s.name, s.state]).sort()).toEqual([
        ['b_c1', 'streaming'],
        ['node-C_c1', 'streaming'],
      ]);
    });

    test('a list is in effect when set: commits wait for its standbys and no others', async () => {
      expect(await a.pg.unfence(20_000)).toEqual(done);
      expect(
        await timed('list, from empty', a.pg.setSyncList({ names: ['b_c1', 'node-C_c1'], k: 1 }, 5000)),
      ).toEqual(done);
      expect((await a.pg.facts(10_000)).syncList).toEqual({ names: ['b_c1', 'node-C_c1'], k: 1 });
      const client = a.client();
      await client`insert into t values (1)`;
      expect(
        await timed('list, unchanged', a.pg.setSyncList({ names: ['b_c1', 'node-C_c1'], k: 1 }, 5000)),
      ).toEqual(done);
      expect(await timed('list, narrowed', a.pg.setSyncList({ names: ['b_c1'], k: 1 }, 5000))).toEqual(done);
      await timed('first commit after it', Promise.resolve(client`insert into t values (2)`));
    });

    test('a list change ends the walsenders that knew the old one, but not a basebackup', async () => {
      const before = await a.sql('select pid from pg_stat_replication');
      const clone = await group.server('clone', { replicationAuth });
      let backups = 0;
      const copied = clone.pg.basebackup(a.upstream, () => backups++, new AbortController().signal);
      await eventually('the basebackup runs', 30_000, () => backups > 0);
      expect(await a.pg.setSyncList({ names: ['b_c1', 'node-C_c1'], k: 1 }, 5000)).toEqual(done);
      expect(await copied).toEqual(done);
      const after = new Set((await a.sql('select pid from pg_stat_replication')).map((r) => r.pid));
      expect(before.filter((r) => after.has(r.pid))).toEqual([]);
      await eventually(
        'both stream again',
        30_000,
        async () => (await a.pg.facts(10_000)).walSenders.filter((s) => s.state === 'streaming').length === 2,
      );
    });

    test('a cut is complete when it answers: no receiver, a position that no longer moves, no more confirmations', async () => {
      expect(await timed('cut b', b.pg.setUpstream(null, 3000))).toEqual(done);
      expect(await timed('cut c', c.pg.setUpstream(null, 3000))).toEqual(done);
      const read = async (s: TestServer) => (await s.pg.position(500)) as Position;
      const [first] = [await read(b)];
      expect(first).toMatchObject({ timeline: 1, settled: true });
      const client = a.client();
      const pending = client`insert into t values (3)`.then(
        () => 'acknowledged',
        (error: Error) => error.message,
      );
      await eventually('the commit waits', 30_000, async () => (await waiting(a)) === 1);
      await new Promise((r) => setTimeout(r, 300));
      expect((await read(b)).lsn).toBe(first?.lsn ?? 0n);
      expect(await waiting(a)).toBe(1);
      expect(await b.pg.facts(10_000)).toMatchObject({ streaming: false, upstreamHost: null });

      // Shutting the waiting client out ends it: what it was waiting for is never told as done.
      expect(await a.pg.fence(20_000)).toEqual(done);
      expect(await pending).not.toBe('acknowledged');
      expect(await a.pg.unfence(20_000)).toEqual(done);
    });

    test('a cut standby that is pointed back catches up, in the time of a few retries', async () => {
      const began = performance.now();
      expect(await b.pg.setUpstream(a.upstream, 20_000)).toEqual(done);
      const set = performance.now() - began;
      await eventually(
        'b streams',
        30_000,
        async () =>
          (await a.pg.replication(500))?.senders.some((s) => s.name === 'b_c1' && s.state === 'streaming') ===
          true,
      );
      console.log(
        `pointed back: set ${set.toFixed(0)} ms, streaming ${(performance.now() - began).toFixed(0)} ms`,
      );
      const now = await a.pg.replication(500);
      expect(now?.timeline).toBe(1);
      await eventually('b has it all', 30_000, async () => {
        const state = await a.pg.replication(500);
        const flush = state?.senders.find((s) => s.name === 'b_c1')?.flush;
        return state !== null && flush !== null && flush !== undefined && flush >= (now?.insert ?? 0n);
      });
      expect(await c.pg.setUpstream(a.upstream, 20_000)).toEqual(done);
    });

    test('an emptied list lets commits through at once, those that wait included', async () => {
      expect(await a.pg.setSyncList({ names: ['nobody'], k: 1 }, 5000)).toEqual(done);
      const client = a.client();
      const pending = client`insert into t values (4)`.then(
        () => 'acknowledged',
        (error: Error) => error.message,
      );
      await eventually('the commit waits', 30_000, async () => (await waiting(a)) === 1);
      expect(await timed('list, to empty', a.pg.setSyncList(null, 5000))).toEqual(done);
      expect(await pending).toBe('acknowledged');
      expect(await a.pg.setSyncList({ names: ['b_c1', 'node-C_c1'], k: 1 }, 5000)).toEqual(done);
    });

    test('a clean stop hands everything over: the standby has replayed the shutdown checkpoint', async () => {
      // A list change ends the walsenders; who is not back by the time of the stop does not get the
      // checkpoint.
      await eventually('both stream', 30_000, async () => {
        const senders = (await a.pg.replication(500))?.senders ?? [];
        return senders.filter((s) => s.state === 'streaming').length === 2;
      });
      expect(await timed('fence', a.pg.fence(1000))).toEqual(done);
      const stopped = await timed('stop', a.pg.stop('fast', 5000, true));
      if (stopped.kind !== 'stopped' || stopped.checkpoint === null) throw new Error(JSON.stringify(stopped));
      expect(stopped.clean).toBe(true);
      const { checkpoint } = stopped;
      await eventually(
        'b replayed it',
        30_000,
        async () => ((await b.pg.position(10_000))?.replayed ?? 0n) > checkpoint,
      );
      expect(await count(b)).toBe(4);
    });

    test('the promoted standby opens with its list; the other and the old primary follow across the switch', async () => {
      expect(await b.pg.setSyncList({ names: ['node-C_c1', 'a_c1'], k: 1 }, 3000)).toEqual(done);
      expect(await b.pg.ensureSlots(['a', 'b', 'node-C'], 2000)).toEqual(done);
      expect(await timed('cut for the promotion', b.pg.setUpstream(null, 3000))).toEqual(done);
      expect(await timed('promote', b.pg.promote(5000))).toEqual({ kind: 'done', timeline: 2 } as never);
      expect(
        await timed(
          'list, set before as a standby',
          b.pg.setSyncList({ names: ['node-C_c1', 'a_c1'], k: 1 }, 3000),
        ),
      ).toEqual(done);
      expect(await b.pg.facts(10_000)).toMatchObject({ role: 'primary', fenced: true, standbySignal: false });

      const began = performance.now();
      expect(await c.pg.setUpstream(b.upstream, 20_000)).toEqual(done);
      await eventually('c follows', 30_000, async () => (await c.pg.position(10_000))?.timeline === 2);
      console.log(`c follows across after ${(performance.now() - began).toFixed(0)} ms`);
      expect(await b.pg.unfence(20_000)).toEqual(done);
      await b.client()`insert into t values (5)`;

      await a.pg.setIdentity('a_c1');
      expect(await a.pg.setUpstream(b.upstream, 20_000)).toEqual(done);
      expect(await a.pg.startStandby(20_000)).toEqual(done);
      await eventually('a follows', 30_000, async () => (await a.pg.facts(10_000)).streaming);
      await eventually('a has the row', 30_000, async () => (await count(a)) === 5);
      expect(await b.pg.history(2)).toMatchObject([{ tli: 1 }]);
      expect(await a.pg.history(2)).toEqual(await b.pg.history(2));
      expect(await b.pg.history(1)).toEqual([]);
      expect(await b.pg.history(9)).toBeNull();
    });

    test('slots of the others exist on a standby, move with it, and one of a removed node is dropped', async () => {
      expect(await c.pg.ensureSlots(['a', 'b', 'node-C'], 2000)).toEqual(done);
      const at = async () =>
        (await c.sql(`select slot_name, restart_lsn::text as lsn from pg_replication_slots order by 1`)).map(
          (r) => parseLsn(String(r.lsn)),
        );
      expect((await at()).length).toBe(2);
      expect(await c.pg.advanceSlots(2000)).toEqual(done);
      expect(await c.pg.ensureSlots(['a', 'node-C'], 2000, true)).toEqual(done);
      expect(await c.sql('select slot_name from pg_replication_slots')).toMatchObject([
        { slot_name: slotName('a') },
      ]);
      expect(await b.pg.ensureSlots(['b', 'node-C'], 2000, true)).toEqual(done);
      expect(await b.sql('select slot_name from pg_replication_slots')).toMatchObject([
        { slot_name: slotName('node-C') },
      ]);
    });
  });
}
