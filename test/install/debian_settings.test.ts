/**
 * The distribution's settings for a node that joined empty: written where they lack, and never over what is
 * there.
 */
import { beforeEach, describe, expect, test } from 'bun:test';
import { parseConfig } from '../../agent/config/index.ts';
import { mainConf, settingsLacking, writeSettings } from '../../agent/install/debian_settings.ts';
import { FakeMachine } from './fake_machine.ts';

const DIR = '/etc/postgresql/15/main';
const DATA = '/var/lib/postgresql/15/main';
const configOf = (dataDir = DATA, more = '') =>
  parseConfig(`postgres: { data_dir: ${dataDir}, port: 5433${more} }\n`);
const config = configOf();

let machine: FakeMachine;
/** What lay in root's own folder when it was copied by its owner. */
let staged: Map<string, string | undefined>;
beforeEach(() => {
  machine = new FakeMachine();
  staged = new Map();
  machine.lay('/usr/share/postgresql/15/postgresql.conf.sample', "#listen_addresses = 'localhost'\n");
  machine.lay('/usr/share/postgresql/15/pg_ident.conf.sample', '# MAPNAME\n');
  const run = machine.run.bind(machine);
  machine.run = (argv) => {
    if (argv.includes('cp'))
      for (const [path, entry] of machine.paths)
        if (path.startsWith('/run/cloudify-settings/')) staged.set(path.slice(23), entry.content);
    return run(argv);
  };
});

describe('settings are lacking', () => {
  test('where Debian keeps data, and has nothing for it', () => {
    expect(settingsLacking(config, machine)).toEqual({ version: '15', name: 'main', dir: DIR });
  });

  test('not where they are, where data lies elsewhere, or where it has others', () => {
    expect(settingsLacking(configOf('/data'), machine)).toBeUndefined();
    expect(settingsLacking(configOf('/var/lib/postgresql/15/..'), machine)).toBeUndefined();
    const own = configOf(DATA, ', original_config: /opt/db.conf');
    expect(settingsLacking(own, machine)).toBeDefined();
    machine.lay('/opt/db.conf');
    expect(settingsLacking(own, machine)).toBeUndefined();
    machine.lay(`${DIR}/postgresql.conf`);
    expect(settingsLacking(config, machine)).toBeUndefined();
  });
});

test('the settings are the sample of that version and, below it, what is of this cluster', () => {
  const lacking = { version: '15', name: 'main', dir: DIR };
  const text = mainConf('# sample\n', lacking, "/it's", 5433);
  expect(text.split('\n').slice(0, 1)).toEqual(['# sample']);
  for (const line of [
    "data_directory = '/it''s'",
    `hba_file = '${DIR}/pg_hba.conf'`,
    "external_pid_file = '/var/run/postgresql/15-main.pid'",
    'port = 5433',
    "include_dir = 'conf.d'",
  ])
    expect(text.split('\n')).toContain(line);
});

test('they are written by their owner, the file that says so last, and nothing of ours is left', async () => {
  expect(await writeSettings(config, machine)).toBe(DIR);
  expect([...staged.keys()].sort()).toEqual([
    ...['conf.d', 'environment', 'pg_ctl.conf', 'pg_hba.conf', 'pg_ident.conf', 'postgresql.conf'],
    'start.conf',
  ]);
  expect(staged.get('start.conf')).toBe('auto\n');
  expect(staged.get('pg_hba.conf')).toContain('local   all             postgres');
  const copies = machine.ran.filter((line) => line.includes(DIR));
  expect(copies.every((line) => line.startsWith('setpriv --reuid=postgres '))).toBe(true);
  expect(copies.at(-1)).toEndWith(`mv -n -- ${DIR}/.postgresql.conf.new ${DIR}/postgresql.conf`);
  expect(machine.ran.at(-1)).toBe('systemctl daemon-reload');
  expect([...machine.paths.keys()].filter((path) => path.startsWith('/run/'))).toEqual([]);
});

test('nothing that is there is written over, and nothing destroys data', async () => {
  await writeSettings(config, machine);
  const copies = machine.ran.filter((line) => / (cp|mv) /.test(line) && !line.includes('.new --'));
  for (const line of copies.filter((one) => !one.includes(`${DIR}/.postgresql.conf.new`)))
    expect(line).toContain(' -rn ');
  expect(machine.ran.join('\n')).not.toMatch(/createcluster|dropcluster|initdb|rm /);
  expect(machine.ran.join('\n')).not.toContain(DATA);
});

test('a copy that fails leaves no settings that look complete, and is begun again', async () => {
  machine.failing = (line) => line.includes(' cp -rn ');
  await expect(writeSettings(config, machine)).rejects.toThrow('cp -rn');
  expect(machine.ran.some((line) => line.includes(' mv '))).toBe(false);
  expect([...machine.paths.keys()].filter((path) => path.startsWith('/run/'))).toEqual([]);
  machine.failing = () => false;
  expect(await writeSettings(config, machine)).toBe(DIR);
});

test('without samples it says what to do', async () => {
  machine.paths.delete('/usr/share/postgresql/15/postgresql.conf.sample');
  await expect(writeSettings(config, machine)).rejects.toMatchObject({
    code: 'no_samples',
    hint: expect.stringContaining('install postgresql-15, or copy /etc/postgresql/15/main'),
  });
});
