import { expect, test } from 'bun:test';
import { type ConfigInput, makeConfig } from '../../agent/config/index.ts';
import type { NodeRecord } from '../../agent/core/records.ts';
import {
  differencesOf,
  referenceOf,
  sameFolders,
  settingsOf,
  toldBy,
} from '../../agent/node/member_settings.ts';
import { nodesTable } from '../../cli/cluster/nodes_table.ts';

const VERSIONS = { agent: '0.2.0', postgresql: '15.18' };
const settings = (over: ConfigInput = {}, versions: Record<string, string> = VERSIONS) =>
  settingsOf(
    makeConfig({
      services: [
        { name: 'broker', unit: 'rabbitmq-server.service', order: 10 },
        { name: 'logs', unit: 'rsyslog.service', active_only: false, critical: false },
      ],
      files: { folders: [{ id: 'etc', path: '/srv/etc' }] },
      ...over,
    }),
    versions,
  );
const record = (told?: unknown): NodeRecord => ({
  schema: 1,
  hostIp: '10.0.0.1',
  publicIp: null,
  apiPort: 8700,
  postgresPort: 5432,
  version: '0.1.0',
  options: { priority: 100, nofailover: false, maintenance: false },
  ...(told === undefined ? {} : { settings: told }),
});

test('members that are set up alike have nothing said about them, wherever their folders lie', () => {
  const other = settings({ files: { folders: [{ id: 'etc', path: '/elsewhere' }] } });
  const nodes = { m1: record(settings()), m2: record(other) };
  expect(differencesOf(nodes, 'm2', 'm1')).toEqual([]);
  expect(sameFolders(nodes, 'm2', 'm1')).toBe(true);
});

test('folders, services, ports and versions that differ are named, against the active', () => {
  const nodes = {
    m1: record(settings()),
    m2: record(
      settings(
        {
          files: {},
          services: [{ name: 'broker', unit: 'rabbitmq-server.service', order: 10, warm: true }],
          api: { port: 8701 },
        },
        { ...VERSIONS, postgresql: '15.17' },
      ),
    ),
  };
  expect(differencesOf(nodes, 'm2', 'm1')).toEqual([
    'folders: has none, m1 has etc',
    'services: has broker rabbitmq-server.service warm order 10, m1 has broker rabbitmq-server.service order 10; logs rsyslog.service everywhere not critical order 100',
    'ports: has api 8701, m1 has api 8700; files 22000',
    'versions: has postgresql 15.17, m1 has postgresql 15.18',
  ]);
  expect(differencesOf(nodes, 'm1', 'm1')).toEqual([]);
  expect(sameFolders(nodes, 'm2', 'm1')).toBe(false);
});

test('a pattern that only one node ignores makes other files', () => {
  const ignoring = settings({ files: { folders: [{ id: 'etc', path: '/srv/etc', ignore: ['*.tmp'] }] } });
  const nodes = { m1: record(ignoring), m2: record(settings()) };
  expect(differencesOf(nodes, 'm2', 'm1')).toEqual(['folders: has etc, m1 has etc without *.tmp']);
});

test('an older agent tells none: that is said, and concludes nothing; without an active the first that tells is compared with', () => {
  const nodes = { m1: record(), m2: record(settings()), m3: record(settings({ api: { port: 8702 } })) };
  expect(referenceOf(nodes, 'm1')).toBe('m2');
  expect(differencesOf(nodes, 'm1', 'm1')).toEqual(['settings that it has not reported (agent 0.1.0)']);
  expect(differencesOf(nodes, 'm3', null)).toEqual(['ports: has api 8702, m2 has api 8700']);
  expect(sameFolders(nodes, 'm2', 'm1')).toBe(true);
  expect(differencesOf({ m1: record(), m2: record() }, 'm2', 'm1')).toEqual([]);
});

test('what no agent wrote is not shown to anybody', () => {
  const good = settings();
  for (const bad of [
    null,
    'x',
    [],
    { ...good, folders: 'etc' },
    { ...good, folders: ['\u001b[2Jgone'] },
    { ...good, services: ['two\nlines'] },
    { ...good, versions: [7] },
    { ...good, ports: Array.from({ length: 201 }, () => 'p') },
    { ...good, ports: ['x'.repeat(401)] },
  ])
    expect(toldBy(record(bad))).toBeUndefined();
  // What the agent itself writes is always understood, whatever a pattern holds.
  const odd = settings({
    files: { folders: [{ id: 'etc', path: '/x', ignore: ['\u001b[31m', 'a'.repeat(900)] }] },
  });
  expect(toldBy(record(odd))).toEqual(odd);
});

test('the list of nodes names them below its table', () => {
  const row = {
    name: 'm2',
    host_ip: '10.0.0.2',
    public_ip: null,
    state: 'replica' as const,
    online: true,
    master: false,
    initialized: true,
    checks: { consul: true, services: true, database: true, heartbeat: true, filesync: false },
    lag: null,
    timeline: 1,
    voter: true,
    reason: '',
    version: '0.2.0',
  };
  expect(nodesTable([{ ...row, differs: ['folders: has none, m1 has etc'] }], false)).toEndWith(
    '\nm2 differs in folders: has none, m1 has etc\n',
  );
  expect(nodesTable([row], false)).not.toContain('differs');
});
