/**
 * Input: wal_level = logical by ALTER SYSTEM, a logical slot and more slots allowed than the agent needs;
 *        then start, join, switch over.
 * Right: the server starts, the slot is there, and every member can decode once it is the primary; what does
 *        not go along is said before.
 * Source: reports of databases that stayed down after an adoption, with a logical slot that the new settings
 *        did not allow.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
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
  describe('a manager with a logical slot', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;
    const show = async (s: TestServer, name: string) => (await s.sql(`show ${name}`))[0]?.[name];
    const slots = async (s: TestServer) =>
      (await s.sql("select slot_name from pg_replication_slots where slot_type = 'logical'")).map(
        (row) => row.slot_name,
      );

    beforeAll(async () => {
      group = createGroup('cases-logical');
      a = await group.server('a', { data: true });
      b = await group.server('b');
      const { binDir, dataDir, socketDir, port } = a.options;
      appendFileSync(join(dataDir, 'postgresql.conf'), 'max_replication_slots = 30\n');
      appendFileSync(join(dataDir, 'postgresql.auto.conf'), "wal_level = 'logical'\n");
      const options = `-c listen_addresses= -k ${socketDir} -p ${port}`;
      const ctl = (...args: string[]) => {
        const ran = spawnSync(join(binDir, 'pg_ctl'), ['-D', dataDir, '-w', ...args], { stdio: 'ignore' });
        expect([args[0], ran.status]).toEqual([args[0], 0]);
      };
      ctl('start', '-l', join(group.dir, 'own.log'), '-o', options);
      await a.sql("select pg_create_logical_replication_slot('theirs', 'pgoutput')");
      const found = await a.pg.preflight();
      expect(found.filter(({ state }) => state === 'fail')).toEqual([]);
      expect(found.find(({ id }) => id === 'logical_slots')?.what).toContain('theirs (postgres)');
      ctl('stop', '-m', 'fast');
    });
    afterAll(() => group.end());

    test('starts with it, also when the start is begun again', async () => {
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(30_000)).toEqual(done);
      expect([await show(a, 'wal_level'), await show(a, 'max_replication_slots')]).toEqual(['logical', '30']);
      expect(await slots(a)).toEqual(['theirs']);
    });

    test('has standbys that can decode once they are the primary', async () => {
      expect(await a.pg.ensureReplicationRole(30_000)).toEqual(done);
      await joinStandby(a, b);
      expect(await show(b, 'wal_level')).toBe('logical');
      expect(await a.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped', clean: true });
      expect(await b.pg.promote(30_000)).toMatchObject(done);
      await b.sql("select pg_create_logical_replication_slot('anew', 'pgoutput')");
      expect(await slots(b)).toEqual(['anew']);
    });

    test('follows with its slot as a standby', async () => {
      expect(await b.pg.ensureSlots(['a'], 30_000)).toEqual(done);
      expect(await a.pg.setUpstream(b.upstream, 30_000)).toEqual(done);
      expect(await a.pg.startStandby(30_000)).toEqual(done);
      await eventually('streaming', 30_000, async () => (await a.pg.facts(30_000)).streaming);
      expect(await slots(a)).toEqual(['theirs']);
    });
  });
}
