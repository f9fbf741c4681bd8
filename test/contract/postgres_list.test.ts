/**
 * The voter list of a server that was written before its start (PROTOCOL D.4): in effect without another
 * checkpoint.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  describe('a list written while the server is stopped', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;

    const checkpoints = async (s: TestServer) => {
      const [row] = await s.sql("select to_regclass('pg_catalog.pg_stat_checkpointer') is not null as own");
      const source = row?.own
        ? "(select num_requested + coalesce((to_jsonb(c)->>'restartpoints_req')::int, 0) as n from pg_stat_checkpointer c)"
        : '(select checkpoints_req as n from pg_stat_bgwriter)';
      return Number((await s.sql(`select n from ${source} x`))[0]?.n);
    };
    const waiting = async (s: TestServer) =>
      Number(
        (await s.sql("select count(*)::int as n from pg_stat_activity where wait_event = 'SyncRep'"))[0]?.n,
      );

    beforeAll(async () => {
      group = createGroup('pg-list');
      a = await group.server('a', { data: true });
      b = await group.server('b', {});
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.ensureReplicationRole(2000)).toEqual(done);
      await a.sql('create table t (i int primary key)');
      await joinStandby(a, b);
    });
    afterAll(() => group.end());

    test('a standby that carries one from its start on sets another without a checkpoint of its own', async () => {
      expect((await b.pg.stop('fast', 5000, true)).kind).toBe('stopped');
      expect(await b.pg.setSyncList({ names: ['a_c1'], k: 1 }, 2000)).toEqual(done);
      expect(await b.pg.startStandby(20_000)).toEqual(done);
      expect((await b.pg.facts(10_000)).syncList).toEqual({ names: ['a_c1'], k: 1 });
      // Without it a restartpoint would have nothing to do, and show nothing.
      await a.sql('checkpoint');
      const before = await checkpoints(b);
      expect(await b.pg.setSyncList({ names: ['c_c1'], k: 1 }, 3000)).toEqual(done);
      expect(await checkpoints(b)).toBe(before);
    });

    test('commits of a primary wait for it from its start on', async () => {
      expect((await a.pg.stop('fast', 5000, false)).kind).toBe('stopped');
      expect(await a.pg.setSyncList({ names: ['nobody'], k: 1 }, 2000)).toEqual(done);
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.setSyncList({ names: ['nobody'], k: 1 }, 2000)).toEqual(done);
      expect(await a.pg.unfence(20_000)).toEqual(done);
      const client = a.client();
      const pending = client`insert into t values (1)`.then(
        () => 'acknowledged',
        (error: Error) => error.message,
      );
      await eventually('the commit waits', 30_000, async () => (await waiting(a)) === 1);
      expect(await a.pg.setSyncList(null, 5000)).toEqual(done);
      expect(await pending).toBe('acknowledged');
    });
  });
}
