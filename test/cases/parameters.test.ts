/**
 * Input: `postgres.parameters` with `shared_buffers: lots`, a library that is not there, `max_connections`
 *        below the reserved ones; 0640; 300 connections.
 * Right: refused with file and key before anything changes, also in a running cluster; what is taken is what
 *        the server shows.
 * Source: reports of managers whose database did not start any more, or could not be reloaded, after a
 *        setting was changed.
 */
import { afterAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Config, NodeConfig } from '../../agent/config/index.ts';
import { type ConfigInput, folderConfig, makeConfig, parseConfig } from '../../agent/config/index.ts';
import { doctorFile } from '../../agent/doctor/doctor.ts';
import { serverSettings } from '../../agent/doctor/settings.ts';
import { refuseSettings } from '../../agent/membership/preflight.ts';
import { createPostgres } from '../../agent/roles/postgres/index.ts';
import { serverOptions } from '../../agent/roles/postgres_helper/driver.ts';
import { asServerUser, createGroup, eventually, findBinDir, type TestServer } from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  const group = createGroup('parameters');
  afterAll(() => group.end());

  /** What the server's program says to these parameters, on the data of `server`. */
  const said = (server: TestServer, parameters: Record<string, string>, over = {}) =>
    createPostgres({
      ...server.options,
      parameters,
      parametersFile: '/etc/cloudify/agent.yaml',
      ...over,
    }).rehearse();

  const wrong: [string, Record<string, string>, RegExp][] = [
    [
      'a value that is none',
      { work_mem: '4MB', shared_buffers: 'lots' },
      /^\/etc\/cloudify\/agent\.yaml: postgres\.parameters\.shared_buffers: the server does not accept 'lots': invalid value for parameter "shared_buffers": "lots"$/,
    ],
    [
      'a unit that is none, with those that are',
      { shared_buffers: '1gb' },
      /parameters\.shared_buffers: .*Valid units for this parameter are "B", "kB"/,
    ],
    [
      'a name that is none',
      { work_mem: '4MB', work_men: '4MB' },
      /parameters\.work_men: .*unrecognized configuration parameter "work_men"$/,
    ],
    [
      'two at once, each by its key',
      { timezone: 'Mars', work_men: '1' },
      /parameters\.timezone: .*; postgres\.parameters\.work_men: /,
    ],
    [
      'a library that is not there',
      { work_mem: '4MB', shared_preload_libraries: 'pg_stat_statement' },
      /parameters\.shared_preload_libraries: .*could not access file "pg_stat_statement"/,
    ],
    [
      'what does not go with the rest',
      { max_connections: '8' },
      /agent\.yaml: postgres\.max_connections: .*superuser_reserved_connections \(8\) must be less than max_connections \(8\)/,
    ],
    [
      'two that do not go together',
      { superuser_reserved_connections: '60', max_connections: '50', work_mem: '4MB' },
      /postgres\.parameters\.superuser_reserved_connections, postgres\.max_connections: the server does not accept them together/,
    ],
    ['what only the compiler sets', { block_size: '8192' }, /parameters\.block_size: .*cannot be changed/],
  ];

  describe('what the server would not start with is named, with its file and key', () => {
    let down: TestServer;
    test.each(wrong)('%s', async (_, parameters, message) => {
      down ??= await group.server('down', { data: true });
      const before = readdirSync(down.options.dataDir).sort();
      const { TMPDIR } = process.env;
      process.env.TMPDIR = mkdtempSync(join(group.dir, 'tmp-'));
      const outcome = await said(down, parameters);
      expect(readdirSync(tmpdir())).toEqual([]);
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      expect(outcome).toEqual({ kind: 'failed', refused: true, why: expect.stringMatching(message) });
      await expect(refuseSettings({ rehearse: async () => outcome })).rejects.toMatchObject({
        class: 'operator',
        code: 'settings_refused',
        message: expect.stringMatching(/agent\.yaml: postgres\./),
      });
      // Nothing was touched.
      expect(readdirSync(down.options.dataDir).sort()).toEqual(before);
      expect(existsSync(down.options.confDir)).toBe(false);
    });

    test('an own file of the manager’s, in Russian and with its log elsewhere', async () => {
      const originalConfig = join(group.dir, 'manager.conf');
      writeFileSync(
        originalConfig,
        "log_destination = 'syslog'\nlc_messages = 'C'\nlog_min_messages = panic\nlog_line_prefix = '%t FATAL: '\nwork_men = 1\n",
      );
      const outcome = await said(down, { work_mem: '4MB' }, { originalConfig });
      expect(outcome).toMatchObject({
        kind: 'failed',
        refused: true,
        why: expect.stringMatching(/manager\.conf: .*"work_men".*line 5/),
      });
    });

    test('what ALTER SYSTEM left, but not where the agent sets it', async () => {
      const auto = join(down.options.dataDir, 'postgresql.auto.conf');
      const before = readFileSync(auto, 'utf8');
      writeFileSync(auto, "listen_addresses = 'nowhere'\nwork_mem = '7MB'\n");
      expect(await said(down, { work_mem: '4MB' })).toEqual(done);
      writeFileSync(auto, "shared_preload_libraries = 'nope'\n");
      expect(await said(down, {})).toMatchObject({
        kind: 'failed',
        refused: true,
        why: expect.stringContaining('"nope"'),
      });
      writeFileSync(auto, before);
    });

    test('and what it takes is taken, whether there is data or not', async () => {
      const fine = {
        shared_preload_libraries: 'auto_explain',
        'auto_explain.log_min_duration': '1s',
        log_file_mode: '0640',
      };
      expect(await said(down, fine)).toEqual(done);
      const empty = await group.server('empty');
      expect(await said(empty, fine)).toEqual(done);
      expect(await said(empty, { shared_buffers: 'lots' })).toMatchObject({ kind: 'failed' });
    });
  });

  describe('in a running cluster', () => {
    let a: TestServer;
    /** The agent is restarted with another agent.yaml. */
    const restarted = (parameters: Record<string, string>, lines: string[] = []) =>
      createPostgres({
        ...a.options,
        parameters: { ...a.options.parameters, ...parameters },
        parametersFile: '/etc/cloudify/agent.yaml',
        say: (line) => lines.push(line),
      });

    test('parameters that the server does not take do not keep a fence out of it', async () => {
      a = await group.server('a', { data: true, parameters: { work_mem: '5MB' } });
      expect(await a.pg.startPrimary(10_000)).toEqual(done);
      expect(await a.pg.unfence(20_000)).toEqual(done);
      const client = a.client();
      expect(await client`select 1 as one`).toMatchObject([{ one: 1 }]);
      const lines: string[] = [];
      const pg = restarted({ work_mem: '6MB', work_men: '1' }, lines);
      expect(await pg.rehearse()).toMatchObject({ kind: 'failed' });
      expect(await pg.fence(20_000)).toEqual(done);
      await expect(client`select 1`).rejects.toThrow();
      // Nor from starting again.
      expect(await pg.stop('fast', 20_000, false)).toMatchObject({ kind: 'stopped' });
      expect(await pg.startPrimary(20_000)).toEqual(done);
      expect(await a.sql('show work_mem')).toMatchObject([{ work_mem: '5MB' }]);
      expect(lines).toContainEqual(
        expect.stringMatching(/^the former parameters stay in force: .*parameters\.work_men/),
      );
      await pg.close();
    });

    test('those that it takes are in force with its next start', async () => {
      const pg = restarted({ work_mem: '6MB' });
      expect(await pg.stop('fast', 20_000, false)).toMatchObject({ kind: 'stopped' });
      expect(await pg.startPrimary(20_000)).toEqual(done);
      expect(await a.sql('show work_mem')).toMatchObject([{ work_mem: '6MB' }]);
      await pg.close();
    });
  });

  describe('what agent.yaml takes is what the server shows', () => {
    const node = { node_name: 'b', host_ip: '127.0.0.58' };

    test('300 connections and 0640, over the manager’s own files and ALTER SYSTEM', async () => {
      const text =
        'postgres: { max_connections: 300, parameters: { log_file_mode: 0640, vacuum_cost_delay: 2.50 } }';
      const { parameters } = serverOptions({ ...parseConfig(text), ...node });
      const originalConfig = join(group.dir, 'small.conf');
      writeFileSync(originalConfig, 'max_connections = 30\n');
      const b = await group.server('b', { data: true, originalConfig });
      writeFileSync(join(b.options.dataDir, 'postgresql.auto.conf'), "max_connections = '50'\n");
      const pg = createPostgres({ ...b.options, ...(parameters && { parameters }) });
      expect(await pg.startPrimary(10_000)).toEqual(done);
      expect(
        await b.sql(
          "select name, setting from pg_settings where name in ('max_connections', 'log_file_mode', 'vacuum_cost_delay') order by 1",
        ),
      ).toEqual([
        { name: 'log_file_mode', setting: '0640' },
        { name: 'max_connections', setting: '300' },
        { name: 'vacuum_cost_delay', setting: '2.5' },
      ]);
      await pg.close();
    });

    test('left out, the manager’s own number stays', () => {
      expect(serverOptions({ ...makeConfig(), ...node }).parameters).toEqual({});
    });
  });

  test('agent doctor says it of a file', async () => {
    const file = join(group.dir, 'agent.yaml');
    const config = (parameters: Record<string, string>): ConfigInput => {
      const base = folderConfig(join(group.dir, 'node'), { node_name: 'c', host_ip: '127.0.0.59' });
      return {
        ...base,
        paths: { ...base.paths, config: file },
        postgres: { ...base.postgres, bin_dir: findBinDir(), parameters },
      };
    };
    writeFileSync(file, JSON.stringify(config({ shared_buffers: 'lots' })));
    expect(await doctorFile(file)).toContainEqual(
      expect.objectContaining({
        id: 'postgres_settings',
        state: 'fail',
        what: expect.stringContaining(`${file}: postgres.parameters.shared_buffers`),
      }),
    );
    const right = makeConfig(config({ shared_buffers: '16MB' })) as Config & NodeConfig;
    expect(await serverSettings(right)).toEqual([
      { id: 'postgres_settings', state: 'ok', what: 'PostgreSQL accepts its settings', mend: '' },
    ]);
    expect(process.getuid?.()).not.toBe(0);
  });
} else {
  test('install refuses it, dry run or not, before it looks at anything to change', () => {
    const dir = mkdtempSync(join(tmpdir(), 'agent-install-'));
    try {
      const from = join(dir, 'agent.yaml');
      const install = (value: string) => {
        writeFileSync(
          from,
          JSON.stringify({
            paths: { executable: process.execPath },
            postgres: { bin_dir: findBinDir(), parameters: { shared_buffers: value } },
          }),
        );
        const main = join(import.meta.dirname, '../../cli/main.ts');
        return spawnSync(process.execPath, [main, 'install', '--dry-run', '--from', from], {
          encoding: 'utf8',
        });
      };
      const wrong = install('lots');
      expect([wrong.status, wrong.stdout, wrong.stderr]).toEqual([
        1,
        '',
        expect.stringContaining(
          `agent install: ${from}: postgres.parameters.shared_buffers: the server does not accept 'lots'`,
        ),
      ]);
      expect(install('16MB').stderr).toBe('');
    } finally {
      rmSync(dir, { recursive: true });
    }
  }, 60_000);

  test('root asks as the user of the server, and leaves nothing behind', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'agent-root-'));
    const own = join(dir, 'own');
    let umask: number | undefined;
    try {
      mkdirSync(own);
      spawnSync('chmod', ['755', dir]);
      spawnSync('chown', ['postgres:postgres', own]);
      const data_dir = join(own, 'data');
      const initdb = [
        join(findBinDir(), 'initdb'),
        '-D',
        data_dir,
        '-U',
        'postgres',
        '-A',
        'trust',
        '--no-sync',
      ];
      const settings = async (parameters: Record<string, string>) => {
        const base = folderConfig(join(dir, 'node'), { node_name: 'c', host_ip: '127.0.0.59' });
        return await serverSettings(
          makeConfig({
            ...base,
            postgres: { ...base.postgres, bin_dir: findBinDir(), data_dir, parameters },
          }),
        );
      };
      const left = () =>
        readdirSync('/tmp').filter(
          (name) => name.startsWith('agent-rehearsal-') && lstatSync(`/tmp/${name}`).uid === 0,
        );
      const before = left();
      // Whatever the caller's umask; before there is any data, too.
      umask = process.umask(0o077);
      expect(await settings({ shared_buffers: 'lots' })).toMatchObject([{ state: 'fail' }]);
      expect(spawnSync('runuser', ['-u', 'postgres', '--', ...initdb], { cwd: '/' }).status).toBe(0);
      const files = () => spawnSync('find', [own, '-printf', '%p %u %m\n'], { encoding: 'utf8' }).stdout;
      writeFileSync(join(data_dir, 'server.crt'), '');
      const was = files();
      expect(await settings({ shared_buffers: '16MB' })).toMatchObject([{ state: 'ok' }]);
      expect(await settings({ shared_preload_libraries: 'nope' })).toMatchObject([
        { state: 'fail', what: expect.stringContaining('parameters.shared_preload_libraries') },
      ]);
      expect(files()).toBe(was);
      // Other tests may be at it now: theirs go as well.
      await eventually('nothing is left behind', 30_000, () => left().every((name) => before.includes(name)));
    } finally {
      if (umask !== undefined) process.umask(umask);
      rmSync(dir, { recursive: true });
    }
  }, 120_000);
}
