/**
 * A standby that is ahead of where its primary's branch forked (PROTOCOL D.4, D.6): PostgreSQL serves it up
 * to the fork all the same, and takes the end of its foreign tail for a confirmation. Shown here, and that
 * the driver lets it be told apart.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { towardsHolder } from '../../agent/core/branch.ts';
import { confirmedBy, type WalSender } from '../../agent/core/postgres.ts';
import { type LeaseRecord, lsnText, type Stood } from '../../agent/core/records.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const rows = async (s: TestServer) => Number((await s.sql('select count(*)::int as n from t'))[0]?.n);

const taken = (stood: Stood): LeaseRecord => ({
  schema: 1,
  holder: 'b',
  instance: 'boot-b',
  epoch: 2,
  seq: 1,
  reason: 'test',
  from: 'p',
  clean: null,
  closedForMs: null,
  stood,
});

if (asServerUser(import.meta.path)) {
  describe('a former primary with a tail of its own', () => {
    let group: TestGroup;
    let p: TestServer;
    let b: TestServer;
    let c: TestServer;
    let stood: Stood;

    beforeAll(async () => {
      group = createGroup('pg-ahead');
      p = await group.server('p', { data: true });
      b = await group.server('b');
      c = await group.server('c');
      expect(await p.pg.startPrimary(20_000)).toEqual(done);
      expect(await p.pg.ensureReplicationRole(5000)).toEqual(done);
      await joinStandby(p, b);
      await joinStandby(p, c);
      await p.sql('create table t (i int primary key); insert into t values (0)');
      for (const s of [b, c]) {
        await eventually('the row is there', 30_000, async () => (await rows(s).catch(() => 0)) === 1);
        expect(await s.pg.setUpstream(null, 20_000)).toEqual(done);
      }
      await p.sql('insert into t select g from generate_series(1, 5000) g');
      const at = await b.pg.position(2000);
      const history = await b.pg.history(at?.timeline ?? 0);
      if (at === null || history === null) throw new Error('no position');
      stood = { timeline: at.timeline, lsn: lsnText(at.lsn), history: [] };
      expect(await b.pg.reserveTimelines(2)).toEqual(done);
      expect(await b.pg.promote(20_000)).toMatchObject({ kind: 'done', timeline: 2 });
      expect(await b.pg.ensureSlots(['p', 'c'], 5000)).toEqual(done);
      expect(await p.pg.stop('immediate', 10_000, true)).toMatchObject({ kind: 'stopped' });
      expect(await p.pg.startStandby(20_000)).toEqual(done);
    });
    afterAll(() => group.end());

    async function towards(s: TestServer) {
      await eventually('settled', 30_000, async () => (await s.pg.position(10_000))?.settled === true);
      const at = await s.pg.position(1000);
      if (at === null) throw new Error('no position');
      return towardsHolder(at, await s.pg.history(at.timeline), taken(stood), null, []);
    }

    test('is told from one that is not ahead, before either follows', async () => {
      expect(await towards(p)).toBe('foreign');
      expect(await towards(c)).toBe('prefix');
    });

    test('is served up to the fork when it is made to follow, and confirms nothing by what the driver reports', async () => {
      expect(await p.pg.setUpstream(b.upstream, 20_000)).toEqual(done);
      const seen: WalSender[] = [];
      await eventually('it seems to have flushed more than it was sent', 30_000, async () => {
        for (const sender of (await b.pg.replication(1000))?.senders ?? []) seen.push(sender);
        return seen.some((s) => s.flush !== null && s.sent !== null && s.flush > s.sent);
      });
      expect(seen.map(confirmedBy).filter((lsn) => lsn !== null)).toEqual([]);
      expect(await rows(b)).toBe(1);
      expect(await rows(p)).toBe(5001);
      expect(await p.pg.setUpstream(null, 20_000)).toEqual(done);
    });

    test('one that is not ahead follows, and is believed', async () => {
      expect(await c.pg.setUpstream(b.upstream, 20_000)).toEqual(done);
      await b.sql('insert into t values (-1)');
      await eventually('c confirms', 30_000, async () => {
        const now = await b.pg.replication(1000);
        return now?.senders.some((s) => (confirmedBy(s) ?? 0n) >= now.insert) === true;
      });
      expect(await rows(c)).toBe(2);
    });
  });
}
