/**
 * Input: databases sorted by de_DE.UTF-8 and by ICU; a manager that joins and lacks that locale; one whose
 *        library sorts by another version.
 * Right: a copy sorts as its active does; who lacks the locale is refused before anything is copied, with its
 *        name; another version is warned of.
 * Source: reports of standbys that were promoted and opened no database, and of indexes that missed rows
 *        after a change of the system.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import {
  asServerUser,
  createGroup,
  findBinDir,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const LOCALE = 'de_DE.UTF-8';
const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  describe('a database sorted by a locale of its own', () => {
    const locales = mkdtempSync(join(tmpdir(), 'agent-locales-'));
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;

    const ran = (program: string, ...args: string[]) => {
      const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
      // localedef warns, and ends with 1, where it left something out.
      if (status !== 0 && program !== 'localedef') throw new Error(`${program}: ${stderr}`);
    };

    beforeAll(async () => {
      // C's alone sorts Z before a: what this shows would be seen with no other locale on the machine.
      ran('localedef', '-i', 'de_DE', '-f', 'UTF-8', join(locales, LOCALE));
      process.env.LOCPATH = locales;
      group = createGroup('locales');
      a = await group.server('a');
      const initdb = join(findBinDir(), 'initdb');
      ran(
        initdb,
        '-D',
        a.options.dataDir,
        '-U',
        'postgres',
        '-A',
        'trust',
        '--no-sync',
        `--locale=${LOCALE}`,
      );
      b = await group.server('b');
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(30_000)).toEqual(done);
      expect(await a.pg.ensureReplicationRole(5000)).toEqual(done);
    }, 120_000);
    afterAll(async () => {
      await group.end();
      delete process.env.LOCPATH;
      rmSync(locales, { recursive: true });
    });

    const ORDER =
      "select string_agg(word, '' order by word) as words from (values ('z'), ('\u00e4'), ('Z'), ('a')) as w(word)";
    const order = async (on: TestServer) => (await on.sql(ORDER))[0]?.words;

    test('tells it, with the versions that it is sorted by', async () => {
      expect(await a.pg.inspect()).toMatchObject({
        locales: [LOCALE],
        collations: { libc: expect.stringMatching(/^\d+\.\d+/), icu: expect.stringMatching(/^\d+/) },
      });
    });

    test('is sorted the same on a copy, and so is one of ICU', async () => {
      await joinStandby(a, b);
      expect([await order(a), await order(b)]).toEqual(['a\u00e4zZ', 'a\u00e4zZ']);
      const { collations } = await a.pg.inspect();
      expect((await b.pg.inspect()).collations).toEqual(collations);
      const icu = ORDER.replace('order by word', 'order by word collate "de-x-icu" desc');
      for (const on of [a, b]) expect((await on.sql(icu))[0]?.words).toBe('Zz\u00e4a');
    });

    test('is not copied to a machine that lacks it: the server there says so, and nothing is there yet', async () => {
      // The same programs without the folder of locales: a machine where they were never made.
      const bin = join(group.dir, 'bin');
      mkdirSync(bin);
      for (const name of readdirSync(a.options.binDir)) {
        const program = join(bin, name);
        writeFileSync(program, `#!/bin/sh\nunset LOCPATH\nexec '${join(a.options.binDir, name)}' "$@"\n`);
        chmodSync(program, 0o755);
      }
      const c = await group.server('c', { binDir: bin });
      expect(await c.pg.missingLocales([LOCALE, 'C.UTF-8'])).toEqual([LOCALE]);
      expect(await c.pg.inspect()).toMatchObject({ empty: true });
      expect(await a.pg.missingLocales([LOCALE, 'C.UTF-8'])).toEqual([]);
      // What it is refused for: it starts, if at all, and opens nothing.
      await a.pg.ensureSlots(['c'], 2000);
      expect(await c.pg.basebackup(a.upstream, () => {}, new AbortController().signal)).toEqual(done);
      expect(await c.pg.rehearse()).toMatchObject({ kind: 'failed', why: expect.stringContaining('lc_') });
    });

    test('and was sorted by another version of the library, is warned of by its name', async () => {
      const warned = async () =>
        (await a.pg.preflight())
          .filter(({ id }) => id === 'collation_version')
          .map(({ state, what }) => [state, what]);
      expect(await warned()).toEqual([]);
      await a.sql("update pg_database set datcollversion = '2.19' where datname = 'postgres'");
      expect(await warned()).toEqual([
        ['warn', expect.stringContaining('postgres (by version 2.19, here is ')],
      ]);
    });
  });
}
