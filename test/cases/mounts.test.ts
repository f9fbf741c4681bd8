/**
 * Input: a joiner whose data directory is a mount point, or a link, or holds a pg_wal that is a mount or a
 *        link, or lies where its user may write nothing else; one that is too small; one with a lost+found.
 *        Then reinit and rewind there.
 * Right: contents are exchanged, mounts and links stay, and what cannot work is refused before anything is
 *        copied.
 * Source: reports on clones that copied everything and then failed with EBUSY, or filled the root filesystem.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { mountPoints } from '../../agent/platform/mounts.ts';
import { exchange } from '../../agent/roles/postgres/exchange.ts';
import { dataState } from '../../agent/roles/postgres/facts.ts';
import { clearMark, hasMark } from '../../agent/roles/postgres/marks.ts';
import { placeOf } from '../../agent/roles/postgres/place.ts';
import { canIsolate, runIsolated } from '../fixtures/isolated.ts';
import {
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const WORLD = 'MOUNTS_TEST_WORLD';
const world = process.env[WORLD];
const own = { kind: 'done' } as const;
const none = new AbortController().signal;
const quiet = () => {};

/** In a mount namespace of its own: what is mounted is gone with it, however it ends. */
const PREPARE = `set -e
cd "$1"
own() { chown postgres:postgres "$@"; chmod 0700 "$@"; }
disk() { mkdir -p "$1"; mount -t tmpfs -o "size=$2" test "$1"; own "$1"; }
mkdir mounted linked; own mounted linked
# In memory, as the others: a copy is flushed file by file.
disk shut 400m; chown root:root shut; chmod 0755 shut
disk mounted/data 400m
disk linked/disk 400m
mkdir linked/disk/pg; ln -s "$1/linked/disk/pg" linked/data; own linked/disk/pg
disk linked/disk/pg/pg_wal 400m
mkdir shut/data shut/elsewhere shut/elsewhere/wal; own shut/data shut/elsewhere shut/elsewhere/wal
ln -s "$1/shut/elsewhere/wal" shut/data/pg_wal
mkdir small; own small; disk small/data 8m
mkdir top; own top; disk top/data 8m; mkdir top/data/lost+found
mkdir foreign; mkdir foreign/data
disk steps 50m
chmod 0755 .
shift
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"`;

if (world === undefined) {
  test.skipIf(!canIsolate)(
    'in a mount namespace of its own, as user postgres',
    () => {
      const dir = mkdtempSync(join(tmpdir(), 'agent-mounts-'));
      try {
        runIsolated(import.meta.path, PREPARE, [dir], { [WORLD]: dir });
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    },
    300_000,
  );
} else {
  const at = (...parts: string[]) => join(world, ...parts);
  const rows = async (s: TestServer) => (await s.sql('select i from t order by i')).map((r) => r.i);

  describe('servers', () => {
    let group: TestGroup;
    let p: TestServer;
    let file = 0;

    beforeAll(async () => {
      group = createGroup('mounts');
      p = await group.server('p', { data: true });
      expect(await p.pg.startPrimary(30_000)).toEqual(own);
      expect(await p.pg.ensureReplicationRole(10_000)).toEqual(own);
      await p.sql('create table t (i int primary key); insert into t values (1)');
    }, 60_000);
    afterAll(() => group?.end());

    /** Join, reinit with other data in place, a divergence that is saved and rewound, and wipe. */
    async function life(name: string, stays: () => unknown): Promise<void> {
      const dataDir = at(name, 'data');
      const before = stays();
      const s = await group.server(name, { dataDir });
      expect(await s.pg.inspect()).toEqual({ empty: true, version: null, systemId: null });
      await joinStandby(p, s);
      expect(stays()).toEqual(before);

      expect(await s.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      writeFileSync(join(dataDir, 'of-before'), 'x');
      symlinkSync('/etc/hostname', join(dataDir, 'lies.elsewhere'));
      expect(await s.pg.basebackup(p.upstream, quiet, none)).toEqual(own);
      expect(stays()).toEqual(before);
      expect(readdirSync(dataDir).filter((f) => f === 'of-before' || f.startsWith('.agent'))).toEqual([]);
      expect(readlinkSync(join(dataDir, 'lies.elsewhere'))).toBe('/etc/hostname');
      // 0700, or 0750 as the source has it: with anything else the server would not start.
      expect(statSync(dataDir).mode & 0o027).toBe(0);
      expect(await s.pg.startStandby(30_000)).toEqual(own);
      await eventually('streaming again', 30_000, async () => (await s.pg.facts(5000)).streaming);

      // It promotes by itself, is given writes, and has to come back.
      expect(await s.pg.setUpstream(null, 10_000)).toEqual(own);
      expect(await s.pg.promote(30_000)).toMatchObject({ kind: 'done' });
      await s.sql('insert into t values (999)');
      const [fork] = (await s.pg.history(2)) ?? [];
      const request = { epoch: 2, fork: fork ?? null, reason: 'test' };
      const saved = await s.pg.saveDivergence(request);
      expect(saved).toMatchObject(own);
      file += 1;
      expect(readdirSync(join(saved.dir ?? '', 'wal')).length).toBeGreaterThan(0);
      await p.sql(`insert into t values (${1 + file})`);
      expect(await s.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      expect(await s.pg.rewind(p.upstream, quiet, none)).toEqual(own);
      expect(await s.pg.setUpstream(p.upstream, 5000)).toEqual(own);
      expect(await s.pg.startStandby(30_000)).toEqual(own);
      await eventually('the rows of the primary', 30_000, async () => {
        const [there, wanted] = [await rows(s).catch(() => []), await rows(p)];
        return there.join() === wanted.join();
      });
      expect(stays()).toEqual(before);

      expect(await s.pg.wipe()).toEqual(own);
      expect(stays()).toEqual(before);
      expect(await s.pg.inspect()).toEqual({ empty: true, version: null, systemId: null });
      await s.end();
    }

    test(
      'the data directory is a mount point',
      () => life('mounted', () => mountPoints().includes(at('mounted', 'data'))),
      120_000,
    );

    test(
      'the data directory is a link, and pg_wal in it a mount of its own',
      () =>
        life('linked', () => [
          lstatSync(at('linked', 'data')).isSymbolicLink(),
          mountPoints().includes(at('linked', 'disk', 'pg', 'pg_wal')),
          existsSync(at('linked', 'data', 'pg_wal')),
        ]),
      120_000,
    );

    test(
      'the folder above is not writable, and pg_wal is a link',
      () =>
        life('shut', () => [
          lstatSync(at('shut', 'data', 'pg_wal')).isSymbolicLink(),
          readdirSync(at('shut')).sort(),
        ]),
      120_000,
    );

    test('a filesystem that is too small is seen before anything is copied, with how much it would take', async () => {
      const s = await group.server('small', { dataDir: at('small', 'data') });
      const done = await s.pg.basebackup(p.upstream, quiet, none);
      expect(done).toMatchObject({ kind: 'failed' });
      expect((done as { why: string }).why).toMatch(
        /the copy takes \d\d MB and .*small\/data has [789] MB free/,
      );
      expect(readdirSync(at('small', 'data'))).toEqual([]);
      await s.end();
    }, 60_000);

    test('nor is half of a divergence saved where all of it has no room', async () => {
      const s = await group.server('full', { data: true, divergedDir: at('small', 'data') });
      expect(await s.pg.startPrimary(30_000)).toEqual(own);
      const saved = await s.pg.saveDivergence({ epoch: 2, fork: null, reason: 'test' });
      expect(saved.kind).toBe('failed');
      expect((saved as { why: string }).why).toMatch(
        /its WAL takes 17 MB and .*small\/data has [789] MB free/,
      );
      expect(readdirSync(at('small', 'data'))).toEqual([]);
      await s.end();
    }, 60_000);

    test('the top of a filesystem and a folder of another user are refused before anything is copied', async () => {
      const top = await group.server('top', { dataDir: at('top', 'data') });
      expect((await top.pg.inspect()).unfit).toContain('it has a lost+found');
      expect(await top.pg.basebackup(p.upstream, quiet, none)).toMatchObject({ kind: 'failed' });
      expect(readdirSync(at('top', 'data'))).toEqual(['lost+found']);
      const foreign = await group.server('foreign', { dataDir: at('foreign', 'data') });
      expect((await foreign.pg.inspect()).unfit).toContain("does not belong to the database's user");
      await Promise.all([top.end(), foreign.end()]);
    }, 60_000);

    test('nor is a cluster started on the top of a filesystem: nobody could join it', async () => {
      const s = await group.server('q', { data: true });
      mkdirSync(join(s.options.dataDir, 'lost+found'));
      const refused = await s.pg.adopt();
      expect([refused.kind, JSON.stringify(refused)]).toEqual([
        'failed',
        expect.stringContaining('it has a lost+found'),
      ]);
      await s.end();
    }, 60_000);
  });

  describe('a crash at any step', () => {
    const FILES = ['PG_VERSION', 'global/pg_control', 'base/1/2', 'pg_wal/seg'];
    const write = (dir: string, what: string) => {
      for (const path of [...FILES, `only-${what}`]) {
        mkdirSync(join(dir, path, '..'), { recursive: true });
        writeFileSync(join(dir, path), what);
      }
    };
    const whatIsThere = (dir: string) => [
      ...new Set(
        FILES.map((path) => {
          try {
            return readFileSync(join(dir, path), 'utf8');
          } catch {
            return 'nothing';
          }
        }),
      ),
    ];
    const STEP = 'crash';

    for (const where of ['inside', 'beside']) {
      test(`${where}: what is half-way never passes for a database, and the next copy ends it`, async () => {
        // The mount itself, or a folder in it.
        const dataDir = where === 'inside' ? at('steps') : at('steps', 'data');
        const o = { dataDir, confDir: at('small', `conf-${where}`) } as never;
        mkdirSync(at('small', `conf-${where}`), { recursive: true });
        let steps = 0;
        for (let last = false; !last; steps++) {
          for (const name of readdirSync(at('steps')))
            rmSync(at('steps', name), { recursive: true, force: true });
          clearMark(o);
          write(dataDir, 'old');
          const place = placeOf(dataDir);
          expect(place.inside).toBe(where === 'inside');
          write(place.copy, 'new');
          let step = 0;
          try {
            await exchange(o, place, () => {
              if (step++ === steps) throw new Error(STEP);
            });
            last = true;
          } catch (error) {
            expect((error as Error).message).toBe(STEP);
          }
          if ((await dataState(o)) === 'ok') {
            const there = whatIsThere(dataDir);
            expect([['old'], ['new']]).toContainEqual(there);
            if (last) expect(there).toEqual(['new']);
          } else expect(last).toBe(false);

          const again = placeOf(dataDir);
          rmSync(again.copy, { recursive: true, force: true });
          write(again.copy, 'newer');
          await exchange(o, again);
          expect(await dataState(o)).toBe('ok');
          expect([whatIsThere(dataDir), hasMark(o)]).toEqual([['newer'], false]);
          expect(readdirSync(dataDir).filter((name) => /only-(old|new)$|^\.agent/.test(name))).toEqual([]);
        }
        expect(steps).toBeGreaterThan(2);
      }, 60_000);
    }
  });
}
