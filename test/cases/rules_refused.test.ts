/**
 * Input: `client_hba` with a misspelt method; the manager's own pg_hba.conf with an `@file` that is not
 *        there; a map with a word missing; a line in postgresql.conf that is none. The server leaves out the
 *        whole file at a reload, and says so in its log alone.
 * Right: `doctor` and `start` name file and line while the manager still runs as ever; an active that cannot
 *        open says the same, stays shut and opens once the line is right.
 * Source: reports of clusters that are healthy by all they say, and let no client in.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { examine } from '../../agent/roles/postgres/examine.ts';
import { asServerUser, createGroup, type TestGroup, type TestServer } from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  describe('rules that the server does not take', () => {
    let group: TestGroup;
    let a: TestServer;
    const data = (name: string) => join(a.options.dataDir, name);
    const enters = (): Promise<string> =>
      a.client()`select 1`.then(
        () => 'yes',
        (error) => String(error.code),
      );
    const refused = (why: string) => ({ kind: 'failed' as const, why: expect.stringContaining(why) });
    /** Nobody gets in, and the files say no more than the server does. */
    const shut = async () => {
      expect(await enters()).toBe('28000');
      expect(await a.pg.facts(10_000)).toMatchObject({ accepting: true, fenced: true });
    };
    const whats = async () => (await examine(a.options)).map(({ what }) => what);

    beforeAll(async () => {
      group = createGroup('rules-refused');
      a = await group.server('a', { data: true });
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(30_000)).toEqual(done);
    });
    afterAll(() => group.end());

    test('a misspelt method of client_hba is named with its line, and nobody is let in', async () => {
      a.options.clientHba = ['host all all 127.0.0.0/8 trust', 'host all all 0.0.0.0/0 scram-sha256'];
      const why = 'postgres.client_hba, line 2: invalid authentication method "scram-sha256"';
      expect(await whats()).toEqual([`PostgreSQL does not accept the rules for clients: ${why}`]);
      expect(await a.pg.unfence(30_000)).toEqual(refused(why));
      await shut();
    });

    test("a list that is not there is named with the line of the manager's own file", async () => {
      delete a.options.clientHba;
      writeFileSync(data('pg_hba.conf'), '# own\nhost all @users all trust\n');
      const why = `${data('pg_hba.conf')}, line 2: could not open secondary authentication file`;
      expect(await a.pg.unfence(30_000)).toEqual(refused(why));
      await shut();
    });

    test('a map with a word missing, too', async () => {
      writeFileSync(data('pg_hba.conf'), 'host all all all trust\nhostssl all all all scram-sha-256\n');
      writeFileSync(data('pg_ident.conf'), 'mine a\n');
      const why = `${data('pg_ident.conf')}, line 1: missing entry at end of line`;
      expect(await a.pg.unfence(30_000)).toEqual(refused(why));
      await shut();
    });

    test('once they are right it opens; a line that never matches (hostssl without TLS) is no fault', async () => {
      writeFileSync(data('pg_ident.conf'), 'mine a b\n');
      expect(await a.pg.unfence(30_000)).toEqual(done);
      expect(await enters()).toBe('yes');
    });

    test('a line in postgresql.conf that is none keeps every change from being loaded, and is named', async () => {
      const conf = data('postgresql.conf');
      const before = readFileSync(conf, 'utf8');
      appendFileSync(conf, 'no_such_setting = on\n');
      const line = before.split('\n').length;
      expect(await a.pg.setSyncList({ names: ['b'], k: 1 }, 30_000)).toEqual(
        refused(`${conf}, line ${line}: unrecognized configuration parameter`),
      );
      expect(await whats()).toEqual([
        expect.stringContaining('unrecognized configuration parameter "no_such_setting"'),
      ]);
      writeFileSync(conf, before);
      expect(await a.pg.setSyncList(null, 30_000)).toEqual(done);
      expect(await whats()).toEqual([]);
    });
  });
}
