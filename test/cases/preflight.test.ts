/**
 * Input: start on a restored backup with recovery.signal and a target; on a streaming standby of another
 *        primary; on a primary that others stream from; on data that is half a copy, damaged, of another
 *        version, or lacks the agent's database.
 * Right: refused before anything changes, with what is wrong, where, and the mend; `agent doctor` says the
 *        same before.
 * Source: reports of restored rows and signal files lost by an adoption, and of two primaries on one
 *        timeline.
 */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Finding } from '../../agent/platform/finding.ts';
import { preflight } from '../../agent/roles/postgres/preflight.ts';
import { startedBy } from '../../agent/roles/postgres/running_server.ts';
import { startAgent } from '../../cli/dev/agents.ts';
import { agentOn, openCluster, prepare } from '../../cli/dev/cluster.ts';
import { down } from '../../cli/dev/down.ts';
import { freeAddress } from '../dev/addresses.ts';
import { superuserSql } from '../fixtures/dev.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const failing = (findings: Finding[]) => findings.filter(({ state }) => state === 'fail').map(({ id }) => id);
const named = (findings: Finding[], id: string) => findings.find((finding) => finding.id === id);

/** Every file with its size and the time of its last change. */
const snapshot = (dir: string): string =>
  spawnSync('find', [dir, '-printf', '%p %s %T@ %m\n'], { encoding: 'utf8' })
    .stdout.split('\n')
    .sort()
    .join('\n');

if (asServerUser(import.meta.path)) {
  describe('a database at rest', () => {
    let group: TestGroup;
    let s: TestServer;
    const at = (name: string) => join(s.options.dataDir, name);

    beforeAll(async () => {
      group = createGroup('cases-preflight');
      s = await group.server('s', { data: true });
    });
    afterAll(() => group.end());

    test('that was shut down is fit', async () => {
      expect(failing(await s.pg.preflight())).toEqual([]);
      expect(named(await s.pg.preflight(), 'control_state')).toMatchObject({ state: 'ok' });
    });

    test.each([
      ['recovery.signal', 'recovery_signal'],
      ['standby.signal', 'standby_signal'],
      ['backup_label', 'backup_label'],
      ['tablespace_map', 'tablespace_map'],
      ['pg_tblspc/16400', 'tablespaces'],
    ])('with %s is not, and is left as it is', async (name, id) => {
      writeFileSync(at(name), '');
      const before = snapshot(s.options.dataDir);
      const found = await s.pg.preflight();
      expect(failing(found)).toEqual([id]);
      expect(named(found, id)?.what).toContain(at(name.split('/')[0] ?? ''));
      expect(named(found, id)?.mend).not.toBe('');
      expect(await s.pg.adopt()).toMatchObject({
        kind: 'failed',
        why: expect.stringContaining(s.options.dataDir),
      });
      expect(snapshot(s.options.dataDir)).toBe(before);
      expect(existsSync(s.options.confDir)).toBe(false);
      rmSync(at(name));
    });

    test('of another version is not', async () => {
      const own = readFileSync(at('PG_VERSION'));
      writeFileSync(at('PG_VERSION'), '12\n');
      const found = await s.pg.preflight();
      writeFileSync(at('PG_VERSION'), own);
      expect(failing(found)).toEqual(['postgres_data_version']);
      expect(found[0]).toMatchObject({
        what: expect.stringContaining('PostgreSQL 12'),
        mend: expect.stringContaining('bin_dir'),
      });
    });

    test('whose own configuration cannot be read is not taken over: what has to be kept would not be known', async () => {
      const own = readFileSync(at('postgresql.conf'));
      writeFileSync(at('postgresql.conf'), `${own}no_such_parameter = 1\n`);
      expect(await s.pg.adopt()).toMatchObject({
        kind: 'failed',
        why: expect.stringMatching(/no_such_parameter.*postgresql\.conf/),
      });
      writeFileSync(at('postgresql.conf'), own);
      rmSync(s.options.confDir, { recursive: true, force: true });
    });

    test('whose control file is damaged is not', async () => {
      const whole = readFileSync(at('global/pg_control'));
      truncateSync(at('global/pg_control'), 100);
      const found = await s.pg.preflight();
      writeFileSync(at('global/pg_control'), whole);
      expect(failing(found)).toEqual(['control_file']);
    });

    test.each([
      ['pg_controldata', 'cannot be run', (path: string) => writeFileSync(path, '')],
      ['pg_controldata', 'there is no program', rmSync],
      ['postgres', 'there is no program', rmSync],
    ])('without the program %s is not called damaged: %s', async (program, why, spoil) => {
      const binDir = mkdtempSync(join(group.dir, 'bin-'));
      for (const name of ['postgres', 'pg_controldata'])
        symlinkSync(join(s.options.binDir, name), join(binDir, name));
      const path = join(binDir, program);
      rmSync(path);
      writeFileSync(path, '');
      spoil(path);
      const found = await preflight({ ...s.options, binDir });
      expect(failing(found)).toEqual(['postgres_programs']);
      const finding = named(found, 'postgres_programs');
      expect(finding?.what).toContain(path);
      expect(finding?.what).toContain(why);
      expect(finding?.mend).toContain('set postgres.bin_dir in agent.yaml');
    });

    test('whose control file was not read in time is not called damaged', async () => {
      const binDir = mkdtempSync(join(group.dir, 'bin-'));
      symlinkSync(join(s.options.binDir, 'postgres'), join(binDir, 'postgres'));
      const path = join(binDir, 'pg_controldata');
      writeFileSync(path, '#!/bin/sh\nkill -9 $$\n', { mode: 0o755 });
      const found = named(await preflight({ ...s.options, binDir }), 'control_file');
      expect(found).toMatchObject({
        state: 'fail',
        what: expect.stringContaining('pg_controldata was killed by SIGKILL'),
      });
      expect(found?.mend).not.toContain('damaged');
    });

    test('a folder with something else in it is none; an empty one, or none, is right for who joins', async () => {
      const place = { ...s.options, dataDir: join(group.dir, 'other') };
      expect(failing(await preflight(place))).toEqual([]);
      mkdirSync(place.dataDir);
      expect(failing(await preflight(place))).toEqual([]);
      writeFileSync(join(place.dataDir, 'notes.txt'), '');
      expect(failing(await preflight(place))).toEqual(['data_directory']);
    });

    test('a postmaster.pid of a process that is no server of it means nothing', async () => {
      writeFileSync(at('postmaster.pid'), `${process.pid}\n${s.options.dataDir}\n0\n5432\n/nowhere\n\n`);
      const found = await s.pg.preflight();
      rmSync(at('postmaster.pid'));
      expect(failing(found)).toEqual([]);
      expect(named(found, 'server_asked')).toBeUndefined();
    });
  });

  describe('servers that run', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;

    beforeAll(async () => {
      group = createGroup('cases-preflight-run');
      a = await group.server('a', { data: true });
      b = await group.server('b');
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(30_000)).toEqual(done);
      expect(await a.pg.ensureReplicationRole(30_000)).toEqual(done);
    });
    afterAll(() => group.end());

    test('a primary that nobody reads from is fit, whatever it is called by', async () => {
      const found = await a.pg.preflight();
      expect(failing(found)).toEqual([]);
      expect(named(found, 'server_role')).toMatchObject({ state: 'ok' });
      expect(failing(await preflight({ ...a.options, database: 'gone' }))).toEqual(['agent_database']);
    });

    test('one that cannot be asked is not said to be right', async () => {
      const found = await preflight({ ...a.options, superuser: 'nobody_at_all' });
      expect(named(found, 'server_asked')).toMatchObject({
        state: 'warn',
        what: expect.stringContaining('nobody_at_all'),
      });
      expect(named(found, 'server_role')).toBeUndefined();
    });

    test('a program that receives WAL is told, and stands in no way', async () => {
      const dir = join(group.dir, 'received');
      mkdirSync(dir);
      const args = ['-D', dir, '-h', a.options.socketDir, '-p', String(a.options.port), '-U', 'postgres'];
      const receiver = spawn(join(a.options.binDir, 'pg_receivewal'), args, { stdio: 'ignore' });
      await eventually(
        'it receives',
        30_000,
        async () => (await a.sql('select 1 from pg_stat_replication')).length > 0,
      );
      const found = await a.pg.preflight();
      receiver.kill();
      await eventually(
        'it is gone',
        30_000,
        async () => (await a.sql('select 1 from pg_stat_replication')).length === 0,
      );
      expect(failing(found)).toEqual([]);
      expect(named(found, 'other_readers')).toMatchObject({
        state: 'warn',
        what: expect.stringContaining('pg_receivewal'),
      });
    });

    test('a standby is refused with whom it reads from, and so is the primary that it reads from', async () => {
      await joinStandby(a, b);
      const [primary, standby] = [await a.pg.preflight(), await b.pg.preflight()];
      expect(failing(standby)).toEqual(['standby_signal', 'server_role']);
      expect(named(standby, 'server_role')?.what).toContain(`${a.options.host}:${a.options.port}`);
      expect(failing(primary)).toEqual(['other_standbys']);
      expect(named(primary, 'other_standbys')?.what).toContain(`b_c1 (127.0.0.`);
      // Also where nobody answers: its processes and its control file say enough.
      expect(failing(await preflight({ ...a.options, superuser: 'nobody' }))).toEqual(['server_asked']);
      expect(failing(await preflight({ ...b.options, superuser: 'nobody' }))).toEqual([
        'standby_signal',
        'server_role',
      ]);
    });

    test('a standby whose signal file was taken away is no primary yet', async () => {
      expect(await b.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      rmSync(join(b.options.dataDir, 'standby.signal'));
      const found = await b.pg.preflight();
      expect(failing(found)).toEqual(['control_state']);
      expect(named(found, 'control_state')?.mend).toContain('pg_ctl promote');
    });

    test('one that was killed is told, and recovers by itself', async () => {
      expect(await a.pg.stop('immediate', 30_000, false)).toMatchObject({ kind: 'stopped', clean: false });
      const found = await a.pg.preflight();
      expect(failing(found)).toEqual([]);
      expect(named(found, 'control_state')).toMatchObject({
        state: 'warn',
        what: expect.stringContaining('in production'),
      });
      expect(await a.pg.startPrimary(60_000)).toEqual(done);
    });

    test('a backup that is restored into a member is not opened by the agent, and keeps its signal', async () => {
      expect(await a.pg.stop('fast', 30_000, false)).toMatchObject({ kind: 'stopped' });
      const signal = join(a.options.dataDir, 'recovery.signal');
      writeFileSync(signal, '');
      const refused = await a.pg.startPrimary(30_000);
      expect(refused).toMatchObject({ kind: 'failed', why: expect.stringContaining(signal) });
      expect(existsSync(signal)).toBe(true);
    });
  });

  test.each([
    ['0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n', 'ok'],
    [
      '12:pids:/system.slice/postgresql-14.service\n1:name=systemd:/system.slice/postgresql-14.service\n',
      'ok',
    ],
    ['0::/system.slice/cloudify-postgresql.service\n', 'ok'],
    [
      '5:pids:/m.scope\n1:name=systemd:/machine.slice/m.scope/system.slice/postgresql@15-main.service\n',
      'ok',
    ],
    ['0::/system.slice/patroni.service\n', 'fail'],
    ['0::/user.slice/user-0.slice/session-3.scope\n', 'fail'],
    ['0::/system.slice/docker-0a1b.scope\n', 'fail'],
    ['0::/\n', 'warn'],
  ])('on a machine with units, a server in %p: %p', (cgroup, state) => {
    const [finding] = startedBy({ dataDir: '/data', underSystemd: true }, { pid: 7 }, () => cgroup);
    expect(finding).toMatchObject({ id: 'server_unit', state });
  });

  test('`agent cluster start` says it, changes nothing, and goes on once it is mended; so does `agent doctor`', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'agent-cases-'));
    try {
      const cluster = await prepare({ dir, nodes: 1, first: await freeAddress(), runtime: 'bun' });
      const [node] = cluster.nodes;
      if (!node) throw new Error('no node');
      await startAgent(node, cluster.settings.program, cluster.user);
      const signal = join(node.pgData, 'recovery.signal');
      writeFileSync(signal, '');
      const before = [snapshot(node.pgData), snapshot(node.consulDir)];

      const refused = await agentOn(cluster, node, ['cluster', 'start']);
      expect(refused.code).not.toBe(0);
      expect(`${refused.stdout}${refused.stderr}`).toContain(`${signal}: this is a restored backup`);
      expect([snapshot(node.pgData), snapshot(node.consulDir)]).toEqual(before);
      expect(existsSync(join(node.stateDir, 'membership.json'))).toBe(false);
      const told = await agentOn(cluster, node, ['doctor', '--config', join(node.dir, 'agent.yaml')]);
      expect([told.code, told.stdout]).toEqual([
        1,
        expect.stringContaining(`FAIL  recovery_signal: ${signal}`),
      ]);

      rmSync(signal);
      const started = await agentOn(cluster, node, ['cluster', 'start']);
      expect([started.code, started.stderr]).toEqual([0, expect.anything()]);
      // A member's database is the agent's: a standby of the cluster is no fault.
      const after = await agentOn(cluster, node, ['doctor', '--config', join(node.dir, 'agent.yaml')]);
      expect(after.stdout).not.toMatch(/FAIL {2}(standby_signal|server_role|control_state)/);
      // From here on its settings are the agent's, and whoever changes one is told where it went.
      await superuserSql(cluster, node, 'postgres', "alter system set synchronous_commit = 'off'");
      const log = join(node.logDir, 'cluster.log');
      const said = 'ALTER SYSTEM had set synchronous_commit';
      await eventually('the log says so', 60_000, () => readFileSync(log, 'utf8').includes(said));
    } finally {
      await down(openCluster(dir), { purge: true }, () => {});
      rmSync(dir, { recursive: true, force: true });
    }
  }, 180_000);
}
