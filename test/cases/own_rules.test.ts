/**
 * Input: a database without the distribution's layout, its pg_hba.conf in the data directory or where
 *        `hba_file` says (in postgresql.conf or by ALTER SYSTEM), with lists of names in files beside it and
 *        maps in pg_ident.conf.
 * Right: while the manager is active, these rules are in force, behind the agent's own; fenced, none of them
 *        is.
 * Source: reports on cluster managers that write pg_hba.conf anew and lock the application out, or let
 *        everybody in.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asServerUser, createGroup, type TestGroup, type TestServer } from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  describe("the manager's own rules", () => {
    let group: TestGroup;
    let a: TestServer;
    beforeAll(async () => {
      group = createGroup('own-rules');
      a = await group.server('a', { data: true, clientAuth: 'scram-sha-256' });
    });
    afterAll(() => group.end());

    const data = (name: string) => join(a.options.dataDir, name);
    const opened = async () => {
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(30_000)).toEqual(done);
      await a.sql(
        'do $$ begin create role manager login; create role other login; exception when others then null; end $$',
      );
      expect(await a.pg.unfence(30_000)).toEqual(done);
    };
    const enters = (user: string): Promise<string> =>
      a.client({ user })`select current_user as me`.then(
        ([row]) => String(row?.me),
        (error) => String(error.code),
      );
    const bySocket = (user: string): string => {
      const { socketDir, port } = a.options;
      const args = [
        '-XqAt',
        '-h',
        socketDir,
        '-p',
        String(port),
        '-U',
        user,
        '-d',
        'postgres',
        '-c',
        'select current_user',
      ];
      const run = spawnSync(join(a.options.binDir, 'psql'), args, { encoding: 'utf8' });
      return run.status === 0 ? run.stdout.trim() : run.stderr;
    };
    const me = spawnSync('id', ['-un'], { encoding: 'utf8' }).stdout.trim();
    const REFUSED = '28000';

    test('of the data directory are in force when open', async () => {
      writeFileSync(
        data('pg_hba.conf'),
        'host postgres manager 127.0.0.0/8 trust\nhost all all 0.0.0.0/0 reject\n',
      );
      await opened();
      expect([await enters('manager'), await enters('other')]).toEqual(['manager', REFUSED]);
    });

    test('and none of them when fenced', async () => {
      expect(await a.pg.fence(30_000)).toEqual(done);
      expect([await enters('manager'), await enters('other')]).toEqual([REFUSED, REFUSED]);
    });

    test('are those of hba_file and ident_file, where ALTER SYSTEM sets them too, and of the files beside them', async () => {
      await a.pg.stop('fast', 30_000, false);
      const own = join(group.dir, 'own');
      mkdirSync(own);
      writeFileSync(join(own, 'users'), 'manager\n');
      writeFileSync(
        join(own, 'hba'),
        'host postgres @users 127.0.0.0/8 trust\nlocal postgres other peer map=mine\n',
      );
      writeFileSync(join(own, 'ident'), `mine ${me} other\n`);
      appendFileSync(data('postgresql.conf'), `ident_file = '${own}/ident'\nhba_file = '/nowhere'\n`);
      writeFileSync(data('postgresql.auto.conf'), `hba_file = '${own}/hba'\n`);
      await opened();
      expect([await enters('manager'), await enters('other')]).toEqual(['manager', REFUSED]);
      expect(bySocket('other')).toBe('other');
      expect(bySocket('manager')).toContain('no pg_hba.conf entry');
      expect(readFileSync(data('postgresql.auto.conf'), 'utf8')).not.toContain('hba_file');
    });

    test('go with the data directory to a manager that has none of its own', async () => {
      expect(await a.pg.fence(30_000)).toEqual(done);
      rmSync(join(group.dir, 'own'), { recursive: true });
      writeFileSync(data('pg_hba.conf'), 'local all all trust\n');
      expect(await a.pg.unfence(30_000)).toEqual(done);
      expect([await enters('manager'), await enters('other')]).toEqual(['manager', REFUSED]);
      expect(bySocket('other')).toBe('other');
    });
  });
}
