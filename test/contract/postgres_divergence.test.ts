/**
 * Timelines and divergence on real servers (PROTOCOL E): numbers reserved, branches compared, what is lost
 * saved, rewound.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { compareBranch } from '../../agent/core/branch.ts';
import type { Fork } from '../../agent/core/postgres.ts';
import { parseControl } from '../../agent/roles/postgres/control.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const none = new AbortController().signal;
const quiet = () => {};
const historyFile = (s: TestServer, tli: number) =>
  join(s.options.dataDir, 'pg_wal', `0000000${tli}.history`);
const rows = async (s: TestServer) => (await s.sql('select i from t order by i')).map((r) => r.i);
const control = (s: TestServer) => {
  const { stdout } = spawnSync(join(s.options.binDir, 'pg_controldata'), ['-D', s.options.dataDir], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
  });
  return parseControl(stdout);
};

/** As the core does it: own position and history against the leader's. */
async function compare(own: TestServer, leader: TestServer): Promise<ReturnType<typeof compareBranch>> {
  const [at, to] = [await own.pg.position(1000), await leader.pg.position(1000)];
  if (!at || !to) throw new Error('no position');
  const history = async (s: TestServer, tli: number) => (await s.pg.history(tli)) ?? [];
  return compareBranch(
    { timeline: at.timeline, lsn: at.replayed, history: await history(own, at.timeline) },
    { timeline: to.timeline, history: await history(leader, to.timeline) },
  );
}

if (asServerUser(import.meta.path)) {
  describe('two promotions, one of them foreign', () => {
    let group: TestGroup;
    let p: TestServer;
    let b: TestServer;
    let c: TestServer;
    let d: TestServer;
    let fork: Fork;

    beforeAll(async () => {
      group = createGroup('pg-diverged');
      p = await group.server('p', { data: true });
      b = await group.server('b');
      c = await group.server('c');
      d = await group.server('d');
      expect(await p.pg.startPrimary(20_000)).toEqual(done);
      expect(await p.pg.ensureReplicationRole(2000)).toEqual(done);
      for (const s of [b, c, d]) await joinStandby(p, s);
      await p.sql('create table t (i int primary key); insert into t values (1)');
      for (const s of [b, c, d]) {
        await eventually(
          'the row is there',
          30_000,
          async () => (await rows(s).catch(() => [])).length === 1,
        );
        expect(await s.pg.setUpstream(null, 20_000)).toEqual(done);
      }
    });
    afterAll(() => group.end());

    test('a standby with reserved numbers at the end comes up again: they are cleared before a start', async () => {
      expect(await b.pg.reserveTimelines(4)).toEqual(done);
      expect(existsSync(historyFile(b, 3))).toBe(true);
      expect(await b.pg.stop('immediate', 5000, true)).toMatchObject({ kind: 'stopped' });
      expect(await b.pg.startStandby(20_000)).toEqual(done);
      expect(existsSync(historyFile(b, 2))).toBe(false);
    });

    test('and without the clearing it would wait for ever (why it is done)', async () => {
      expect(await b.pg.stop('fast', 5000, true)).toMatchObject({ kind: 'stopped' });
      writeFileSync(historyFile(b, 2), '# taken\n');
      const command = [
        join(b.options.binDir, 'postgres'),
        '-D',
        b.options.dataDir,
        '-c',
        `config_file=${b.options.confDir}/postgresql.conf`,
      ];
      await b.options.starter.start(command);
      await new Promise((r) => setTimeout(r, 1500));
      expect(await b.pg.facts(300)).toMatchObject({ process: 'running', accepting: false });
      expect(await b.pg.stop('immediate', 5000, true)).toMatchObject({ kind: 'stopped' });
      expect(await b.pg.startStandby(20_000)).toEqual(done);
    });

    test('a promotion takes the number asked for, and its history names real ancestors only', async () => {
      // c promotes by itself, as a node that is then lost: a foreign timeline 2.
      expect(await c.pg.promote(5000)).toMatchObject({ kind: 'done', timeline: 2 });
      await c.sql('insert into t values (999)');
      // The elected one keeps clear of every number given away before: 2 and 3.
      await p.sql('insert into t values (2)');
      expect(await b.pg.setUpstream(p.upstream, 20_000)).toEqual(done);
      await eventually('b caught up', 30_000, async () => (await rows(b)).length === 2);
      expect(await b.pg.setUpstream(null, 20_000)).toEqual(done);
      expect(await b.pg.reserveTimelines(4)).toEqual(done);
      expect(await b.pg.promote(5000)).toMatchObject({ kind: 'done', timeline: 4 });
      const history = await b.pg.history(4);
      expect(history).toMatchObject([{ tli: 1 }]);
      await b.sql('insert into t values (3)');
    });

    test('a standby of the old timeline follows across the reserved numbers, and still does after a restart', async () => {
      expect(await compare(d, b)).toEqual({ kind: 'contained' });
      expect(await b.pg.ensureSlots(['p', 'c', 'd'], 2000)).toEqual(done);
      const began = performance.now();
      expect(await d.pg.setUpstream(b.upstream, 20_000)).toEqual(done);
      await eventually('d is on 4', 30_000, async () => (await d.pg.position(10_000))?.timeline === 4);
      console.log(`followed 1 to 4 in ${(performance.now() - began).toFixed(0)} ms`);
      await eventually('d has the rows', 30_000, async () => (await rows(d)).length === 3);
      expect(readFileSync(historyFile(d, 3), 'utf8')).toMatch(/^#/);
      expect(await d.pg.stop('immediate', 5000, true)).toMatchObject({ kind: 'stopped' });
      expect(await d.pg.startStandby(20_000)).toEqual(done);
      await eventually('d streams again', 30_000, async () => (await d.pg.facts(10_000)).streaming);
      expect((await d.pg.position(10_000))?.timeline).toBe(4);
    });

    test('a crashed primary comes up as a cut standby on its own branch, and is found diverged', async () => {
      await p.sql('insert into t values (777)');
      await p.sql('create database other');
      process.kill(p.options.starter.pid() ?? 0, 'SIGKILL');
      expect(await p.pg.setUpstream(null, 20_000)).toEqual(done);
      expect(await p.pg.startStandby(10_000)).toEqual(done);
      await eventually('settled', 30_000, async () => (await p.pg.position(10_000))?.settled === true);
      expect(await rows(p)).toContain(777);
      const result = await compare(p, b);
      const left = (await b.pg.history(4))?.[0];
      expect(result).toEqual({ kind: 'diverged', fork: left as Fork });
      fork = left as Fork;
    });

    test('what it alone has is saved once: WAL from the fork on, a dump of each database, a manifest', async () => {
      const saved = await p.pg.saveDivergence({ epoch: 7, fork, reason: 'test' });
      expect(saved.kind).toBe('done');
      const dir = saved.kind === 'done' ? (saved.dir ?? '') : '';
      expect(dir).toMatch(/\d{8}T\d{6}Z-p-7$/);
      const manifest = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'));
      expect(manifest).toMatchObject({
        node: 'p',
        epoch: 7,
        reason: 'test',
        timeline: 1,
        fork: { timeline: 1 },
      });
      expect(manifest.dumps.map((x: { database: string }) => x.database)).toEqual(['other', 'postgres']);
      expect(manifest.wal.length).toBeGreaterThan(0);
      const dump = manifest.dumps.find((x: { database: string }) => x.database === 'postgres').file;
      const restore = spawnSync(
        join(p.options.binDir, 'pg_restore'),
        ['-f', '-', '-a', '-t', 't', join(dir, dump)],
        { encoding: 'utf8' },
      );
      expect(restore.stdout).toContain('\n777\n');
      const waldump = spawnSync(
        join(p.options.binDir, 'pg_waldump'),
        ['-p', join(dir, 'wal'), '-s', manifest.fork.lsn, '-t', '1'],
        { encoding: 'utf8' },
      );
      expect(waldump.stdout).toMatch(/Heap.*INSERT/);
      expect(await p.pg.saveDivergence({ epoch: 7, fork, reason: 'again' })).toMatchObject({
        kind: 'done',
        dir,
      });
      expect(readdirSync(p.options.divergedDir).length).toBe(1);
    });

    test('it is rewound once stopped, keeps standby.signal, and follows; the foreign row is gone', async () => {
      expect(await p.pg.rewind(b.upstream, quiet, none)).toMatchObject({
        kind: 'failed',
        why: expect.stringContaining('stop it first'),
      });
      expect(await p.pg.stop('fast', 5000, true)).toMatchObject({ kind: 'stopped', clean: true });
      const began = performance.now();
      const steps: string[] = [];
      expect(await p.pg.rewind(b.upstream, (s) => steps.push(s.what), none)).toEqual(done);
      console.log(`rewind of the old primary ${(performance.now() - began).toFixed(0)} ms`);
      expect(steps).toContain('rewind');
      expect(existsSync(join(p.options.dataDir, 'standby.signal'))).toBe(true);
      await p.pg.setIdentity('p_c2');
      expect(await p.pg.setUpstream(b.upstream, 20_000)).toEqual(done);
      expect(await p.pg.startStandby(20_000)).toEqual(done);
      await eventually('p streams', 30_000, async () => (await p.pg.facts(10_000)).streaming);
      await eventually('p has the rows', 30_000, async () => (await rows(p)).length === 3);
      expect(await rows(p)).toEqual([1, 2, 3]);
      expect(await p.sql("select 1 from pg_database where datname = 'other'")).toEqual([]);
    });

    test('the foreign timeline 2 is found diverged and rewound although 2 is a number below the leader’s', async () => {
      expect(await compare(c, b)).toMatchObject({ kind: 'diverged', fork: { tli: 1 } });
      expect(await c.pg.stop('fast', 5000, true)).toMatchObject({ kind: 'stopped', clean: true });
      expect(await c.pg.rewind(b.upstream, quiet, none)).toEqual(done);
      await c.pg.setIdentity('c_c2');
      expect(await c.pg.setUpstream(b.upstream, 20_000)).toEqual(done);
      expect(await c.pg.startStandby(20_000)).toEqual(done);
      await eventually('c streams', 30_000, async () => (await c.pg.facts(10_000)).streaming);
      await eventually('c has the rows', 30_000, async () => (await rows(c)).length === 3);
      expect(await rows(c)).toEqual([1, 2, 3]);
      expect((await c.pg.position(10_000))?.timeline).toBe(4);
    });

    test('a rewind in which a crashed server was not brought down cleanly is refused', async () => {
      expect(await d.pg.stop('immediate', 5000, true)).toMatchObject({ kind: 'stopped', clean: false });
      expect(await d.pg.rewind(b.upstream, quiet, none)).toMatchObject({
        kind: 'failed',
        why: expect.stringContaining('not stopped cleanly'),
      });
      expect(await d.pg.startStandby(20_000)).toEqual(done);
    });

    test('a standby that is ahead of the fork is a case for a rewind too', async () => {
      // d gets a row that p, promoted from a cut before, never had.
      expect(await p.pg.setUpstream(null, 20_000)).toEqual(done);
      await eventually('d streams', 30_000, async () => (await d.pg.facts(10_000)).streaming);
      await b.sql('insert into t values (888)');
      await eventually('d has it', 30_000, async () => (await rows(d)).includes(888));
      await eventually('c has it', 30_000, async () => (await rows(c)).includes(888));
      expect(await b.pg.stop('immediate', 5000, true)).toMatchObject({ kind: 'stopped' });
      expect(await d.pg.setUpstream(null, 20_000)).toEqual(done);
      expect(await p.pg.reserveTimelines(5)).toEqual(done);
      expect(await p.pg.promote(5000)).toMatchObject({ kind: 'done', timeline: 5 });
      expect(await compare(d, p)).toMatchObject({ kind: 'diverged', fork: { tli: 4 } });
      expect(await d.pg.stop('fast', 5000, true)).toMatchObject({ kind: 'stopped', clean: true });
      expect(await d.pg.rewind(p.upstream, quiet, none)).toEqual(done);
      await d.pg.setIdentity('d_c2');
      expect(await p.pg.ensureSlots(['b', 'c', 'd'], 2000)).toEqual(done);
      expect(await d.pg.setUpstream(p.upstream, 20_000)).toEqual(done);
      expect(await d.pg.startStandby(20_000)).toEqual(done);
      await eventually('d streams', 30_000, async () => (await d.pg.facts(10_000)).streaming);
      expect(await rows(d)).toEqual([1, 2, 3]);
      expect(control(d).walLogHints).toBe(true);
    });

    test('a rewind that broke off half-way leaves broken data, and a clone mends it, the old kept beside', async () => {
      expect(await c.pg.stop('fast', 5000, true)).toMatchObject({ kind: 'stopped', clean: true });
      writeFileSync(join(c.options.confDir, 'half_rewound'), 'test\n');
      expect((await c.pg.facts(10_000)).data).toBe('broken');
      expect((await c.pg.startStandby(1000)).kind).toBe('failed');
      expect(await c.pg.basebackup(p.upstream, quiet, none)).toEqual(done);
      expect((await c.pg.facts(10_000)).data).toBe('ok');
      expect(existsSync(`${c.options.dataDir}.replaced/PG_VERSION`)).toBe(true);
      expect(await c.pg.setUpstream(p.upstream, 20_000)).toEqual(done);
      expect(await c.pg.startStandby(20_000)).toEqual(done);
      await eventually('c streams', 30_000, async () => (await c.pg.facts(10_000)).streaming);
      rmSync(`${c.options.dataDir}.replaced`, { recursive: true });
    });
  });
}
