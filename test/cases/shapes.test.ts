/**
 * Input: one database with all at once: pg_stat_statements and auto_explain preloaded, no checksums, LATIN1,
 *        1,000 tables, unlogged ones, a prepared transaction, a data directory and a pg_wal and a
 *        postgresql.conf that are links. An in-place tablespace comes while it runs; others:
 *        tablespaces.test.ts.
 * Right: start, join, switchover, rewind, reinit and teardown go through, and everything is there after each.
 * Source: reports on clusters whose second manager lacked an extension, a setting or an encoding when it took
 *        over.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { loadConfig } from '../../agent/config/index.ts';
import { giveBackDatabase } from '../../agent/install/give_back_database.ts';
import { realMachine } from '../../agent/install/machine.ts';
import { down } from '../../cli/dev/down.ts';
import { CLIENT } from '../../cli/dev/layout.ts';
import { findBinDir } from '../../cli/dev/postgres.ts';
import { asUser, devUser, giveTo } from '../../cli/dev/user.ts';
import { divergedWrites } from '../dev/failover.scenario.ts';
import { eventually, TestCluster } from '../dev/harness.ts';

const LONG = 120_000;
const user = devUser();
const bin = findBinDir();
const dir = mkdtempSync(join(tmpdir(), 'agent-shapes-'));
let t: TestCluster;

function as(program: string, args: readonly string[], input = ''): string {
  const [command, ...rest] = asUser(user, [join(bin, program), ...args]);
  const ran = spawnSync(command, rest, { encoding: 'utf8', input, cwd: dir, timeout: LONG });
  if (ran.status !== 0) throw new Error(`${program}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout.trim();
}

function folder(...parts: string[]): string {
  const path = join(dir, ...parts);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  giveTo(user, path);
  return path;
}

const SETTINGS = `shared_preload_libraries = 'pg_stat_statements,auto_explain'
auto_explain.log_min_duration = '10min'
pg_stat_statements.max = 500
max_prepared_transactions = 7
max_locks_per_transaction = 128
huge_pages = try
shared_buffers = '32MB'
`;

const FILL = `create table deployments (id serial primary key, name text not null);
create table U&"gr\\00F6\\00DFe" as select U&'f\\00FCnf'::text as v;
create unlogged table volatile as select generate_series(1, 10) as i;
do $$ begin
  for i in 1..1000 loop execute format('create table t%s (i int)', i); end loop;
end $$;
create table prepared (i int);
grant all on all tables in schema public to ${CLIENT.user};
create extension pg_stat_statements;
`;

/** The database of a manager that was there before: made, filled and stopped. */
function makeDatabase(): void {
  const data = folder('n1', 'disk', 'pg');
  as('initdb', [
    ...['-D', data, '-X', join(dir, 'n1', 'disk', 'wal'), '-U', 'postgres', '-A', 'trust', '--no-sync'],
    ...['-E', 'LATIN1', '--locale=C', '--auth-host=reject'],
  ]);
  writeFileSync(join(dir, 'my.conf'), SETTINGS, { mode: 0o644 });
  rmSync(join(data, 'postgresql.conf'));
  symlinkSync(join(dir, 'my.conf'), join(data, 'postgresql.conf'));
  const psql = (database: string, sql: string) =>
    as('psql', ['-Xq', '-v', 'ON_ERROR_STOP=1', '-h', dir, '-U', 'postgres', '-d', database], sql);
  plainly(data, () => {
    psql(
      'postgres',
      `create role ${CLIENT.user} login; create database ${CLIENT.database} owner ${CLIENT.user};`,
    );
    psql(CLIENT.database, FILL);
  });
}

/**
 * With the database's own settings, as the manager's own unit would run it, reachable by a socket in `dir`
 * alone.
 */
function plainly<T>(data: string, work: () => T): T {
  const options = `-c listen_addresses='' -c unix_socket_directories='${dir}' -c fsync=off`;
  as('pg_ctl', ['-D', data, '-w', '-s', '-l', join(dir, 'n1', 'plain.log'), '-o', options, 'start']);
  try {
    return work();
  } finally {
    as('pg_ctl', ['-D', data, '-w', '-s', '-m', 'fast', 'stop']);
  }
}

const SHAPE = `select json_build_object(
  'preloaded', current_setting('shared_preload_libraries'), 'extension', (select count(*) > 0 from pg_stat_statements),
  'explains', current_setting('auto_explain.log_min_duration'), 'prepared', current_setting('max_prepared_transactions'),
  'checksums', current_setting('data_checksums'), 'encoding', current_setting('server_encoding'),
  'tables', (select count(*) from pg_class where relname ~ '^t[0-9]+$' and relkind = 'r'),
  'word', (select length(v) from U&"gr\\00F6\\00DFe"), 'unlogged', (select relpersistence from pg_class where relname = 'volatile'))`;

const WANTED = {
  preloaded: 'pg_stat_statements,auto_explain',
  extension: true,
  explains: '10min',
  prepared: '7',
  checksums: 'off',
  encoding: 'LATIN1',
  tables: 1000,
  word: 4,
  unlogged: 'u',
};

const shape = async (name: string) => JSON.parse(await t.sql(name, SHAPE)) as unknown;

beforeAll(async () => {
  process.umask(0o022);
  // The agents' user goes through.
  spawnSync('chmod', ['755', dir]);
  for (const name of ['n1', 'n2']) {
    folder(name);
    folder(name, 'disk');
    symlinkSync(join(dir, name, 'disk', 'pg'), join(dir, name, 'pgdata'));
  }
  if (!user.self) chownSync(dir, process.getuid?.() ?? 0, user.gid);
  spawnSync('chmod', ['775', dir]);
  makeDatabase();
  spawnSync('chmod', ['755', dir]);
  t = await TestCluster.up({
    dir,
    preset: 'fast',
    options: {
      postgres: {
        original_config: join(dir, 'my.conf'),
      },
    },
  });
}, 360_000);

afterAll(async () => {
  await t?.down();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

test('start and join: everything is there on every node, and links stay links', async () => {
  expect(await t.settled(LONG)).toBe('n1');
  for (const { name } of t.nodes) {
    const { unlogged, ...rest } = WANTED;
    // On a standby the rows of an unlogged table cannot be read, but that it is one can.
    expect(await shape(name)).toEqual({ ...rest, unlogged });
  }
  expect(await t.sql('n1', 'select count(*) from volatile')).toBe('10');
  expect(lstatSync(t.node('n1').pgData).isSymbolicLink()).toBe(true);
  expect(lstatSync(join(t.node('n1').pgData, 'pg_wal')).isSymbolicLink()).toBe(true);
  expect(existsSync(join(dir, 'n2', 'disk', 'pg', 'PG_VERSION'))).toBe(true);
}, 240_000);

test('switchover: a prepared transaction is finished on the new active, an unlogged table is empty there', async () => {
  await t.sql('n1', "begin; insert into prepared values (1); prepare transaction 'open'");
  await t.switchTo('n2', LONG);
  expect(await t.settled(LONG)).toBe('n2');
  expect(await shape('n2')).toEqual(WANTED);
  await t.sql('n2', "commit prepared 'open'");
  expect(await t.sql('n2', 'select i from prepared')).toBe('1');
  expect(await t.sql('n2', 'select count(*) from volatile')).toBe('0');
  await t.sql('n2', 'insert into volatile values (1)');
}, 240_000);

test('rewind: an active that was killed with writes of its own comes back, these are saved, and its links stay', async () => {
  await divergedWrites(t, 'n2', 5);
  await t.killManager('n2');
  const active = await eventually('another active', LONG, async () => {
    const now = (await t.status())?.active;
    return now === 'n1' || now === 'n3' ? now : undefined;
  });
  await t.startAgent('n2');
  expect(await t.settled(LONG)).toBe(active);
  expect(await t.sql('n2', "select count(*) from deployments where name like 'lost %'")).toBe('0');
  const [saved = ''] = readdirSync(t.node('n2').divergedDir);
  const dumped = readdirSync(join(t.node('n2').divergedDir, saved, 'dump'));
  expect(dumped.some((file) => file.includes(CLIENT.database))).toBe(true);
  expect(lstatSync(t.node('n2').pgData).isSymbolicLink()).toBe(true);
  expect(await shape(active)).toEqual(WANTED);
}, 300_000);

const placed = (name: string) => t.sql(name, 'select count(*) from placed');

test('reinit: a node with links is copied anew, with a tablespace that came since, and takes over', async () => {
  if ((await t.activeName()) === 'n1') await t.switchTo('n3', LONG);
  const active = await t.settled(LONG);
  as(
    'psql',
    ['-Xq', '-v', 'ON_ERROR_STOP=1', '-h', t.node(active).runDir, '-U', 'postgres', '-d', CLIENT.database],
    `set allow_in_place_tablespaces = on;
     create tablespace place location '';
     create table placed tablespace place as select generate_series(1, 3) as i;
     grant select on placed to ${CLIENT.user};`,
  );
  const clone = async () => (await t.status())?.sync?.voters.find(({ node }) => node === 'n1')?.clone;
  const before = await clone();
  await t.api('n1').reinit('n1');
  await eventually('n1 is a voter with a new copy', LONG, async () => {
    const now = await clone();
    return now !== undefined && now !== before;
  });
  const { pgData } = t.node('n1');
  for (const link of [pgData, join(pgData, 'pg_wal'), join(pgData, 'postgresql.conf')])
    expect([link, lstatSync(link).isSymbolicLink()]).toEqual([link, true]);
  await t.switchTo('n1', LONG);
  expect(await t.settled(LONG)).toBe('n1');
  expect(await shape('n1')).toEqual(WANTED);
  for (const { name } of t.nodes) expect([name, await placed(name)]).toEqual([name, '3']);
}, 300_000);

test.skipIf(user.self)(
  'teardown: the database is a stand-alone one under its own settings, with all of it',
  async () => {
    await down(t.cluster, { purge: false }, () => {});
    const node = t.node('n1');
    expect(await giveBackDatabase(loadConfig(node.config).config, realMachine)).toContain('slots, role');
    const psql = (sql: string) =>
      as('psql', ['-XqAt', '-h', dir, '-U', 'postgres', '-d', CLIENT.database, '-c', sql]);
    spawnSync('chmod', ['775', dir]);
    plainly(node.pgData, () => {
      expect(JSON.parse(psql(SHAPE))).toEqual(WANTED);
      expect(psql('select pg_is_in_recovery(), (select count(*) from pg_replication_slots)')).toBe('f|0');
      expect(psql('select i from prepared')).toBe('1');
      expect(psql('select count(*) from placed')).toBe('3');
    });
  },
  240_000,
);
