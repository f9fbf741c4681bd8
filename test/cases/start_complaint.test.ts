/**
 * Input: a database that does not start (damaged, or max_connections = 8), whose messages are in Russian, or
 *        go to the files of logging_collector as text, csvlog or jsonlog; one without the database that the
 *        agent logs in to.
 * Right: the failed start has the server's own reason, whatever the language and the place, and is not tried
 *        several times a second.
 * Source: reports with nothing but "the server did not start", and logs filled by the tries.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createPostgres } from '../../agent/roles/postgres/index.ts';
import { asServerUser, createGroup, type TestGroup, type TestServer } from '../fixtures/postgres.ts';

if (asServerUser(import.meta.path)) {
  describe('a server that ends while it starts', () => {
    let group: TestGroup;
    let a: TestServer;
    let [conf, sample] = ['', ''];
    const language = process.env.LANGUAGE;
    beforeAll(async () => {
      group = createGroup('complaint');
      a = await group.server('a', { data: true });
      delete a.options.parameters?.max_connections;
      conf = join(a.options.dataDir, 'postgresql.conf');
      sample = readFileSync(conf, 'utf8');
    });
    afterAll(async () => {
      speaks(language);
      await group.end();
    });

    /** Of the servers that are started from now on. */
    function speaks(name: string | undefined): void {
      if (name === undefined) delete process.env.LANGUAGE;
      else process.env.LANGUAGE = name;
    }
    const why = async () => {
      const failed = await a.pg.startPrimary(30_000);
      return failed.kind === 'failed' ? failed.why : 'it started';
    };
    /** As the first try of a database that was just taken over, with these settings of its own. */
    const firstTry = async (settings: Record<string, string>) => {
      const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
      writeFileSync(conf, `${sample}${lines.join('')}`);
      expect(await a.pg.adopt()).toEqual({ kind: 'done' });
      return await why();
    };

    test('is quoted where it has no severity at all, and is not tried over and over', async () => {
      const cause = 'superuser_reserved_connections (8) must be less than max_connections (8)';
      expect(await firstTry({ max_connections: '8' })).toContain(cause);
      // At the latest when the pause is longer than this machine is slow.
      let said = '';
      for (let tries = 0; tries < 6 && !said.includes('again in'); tries++) {
        const before = a.log();
        said = await why();
        if (said.includes('again in')) expect(a.log()).toBe(before);
      }
      expect(said).toMatch(/must be less than .* \(tried \d times; again in \d+ s\)$/);
    });

    test('is not waited for when it runs, and the agent cannot ever log in', async () => {
      const { database } = a.options;
      a.options.database = 'not_here';
      const cause = 'the agent cannot log in: database "not_here" does not exist';
      writeFileSync(conf, sample);
      const other = createPostgres(a.options);
      expect(await other.adopt()).toEqual({ kind: 'done' });
      expect(await other.startPrimary(60_000)).toEqual({ kind: 'failed', why: cause });
      expect(await other.startPrimary(60_000)).toEqual({ kind: 'failed', why: cause });
      expect(await other.stop('fast', 30_000, false)).toMatchObject({ kind: 'stopped' });
      await other.close();
      a.options.database = database;
      // No checkpoint is found from now on where the control file says that one is.
      const wal = join(a.options.dataDir, 'pg_wal');
      for (const name of readdirSync(wal)) if (/^[0-9A-F]{24}$/.test(name)) rmSync(join(wal, name));
    });

    test.each(['stderr', 'csvlog', 'jsonlog'])(
      'is quoted from the files of its collector: %s',
      async (to) => {
        const said = await firstTry({ logging_collector: 'on', log_destination: to });
        expect(said).toContain('could not locate a valid checkpoint record');
      },
    );

    const RUSSIAN = { lc_messages: 'C.UTF-8' };
    const CHECKPOINT = 'не удалось считать правильную запись контрольной точки';
    test('is quoted in its own language', async () => {
      speaks('ru');
      const said = await firstTry(RUSSIAN);
      expect(said).toContain(CHECKPOINT);
      // What comes after it is no cause.
      expect(said).not.toContain('выключена');
    });

    test('and from a file of the collector in that language, of this start alone', async () => {
      const inOne = {
        ...RUSSIAN,
        logging_collector: 'on',
        log_destination: 'csvlog',
        log_filename: 'one.log',
      };
      expect(await firstTry(inOne)).toContain(CHECKPOINT);
      // Before the collector runs: on standard error, and nothing new in the file.
      const said = await firstTry({ ...inOne, shared_preload_libraries: 'not_here' });
      expect(said).not.toContain(CHECKPOINT);
      expect(said).toContain('not_here');
    });
  });
}
