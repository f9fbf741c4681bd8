import { describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { makeConfig } from '../../agent/config/index.ts';
import { parseGroup, parsePasswd, renderSudoers, renderTmpfiles } from '../../agent/install/accounts.ts';
import { folders } from '../../agent/install/folders.ts';
import { accountsWanted } from '../../agent/install/plan.ts';
import { parseUnits } from '../../agent/install/real_sight.ts';
import { bootUnit } from '../../agent/install/units/boot.ts';
import { agentUnit, leaseUnit, postgresHelperUnit } from '../../agent/install/units/own.ts';
import { consulUnit, syncthingUnit } from '../../agent/install/units/parts.ts';
import { rootCallUnits } from '../../agent/install/units/root_calls.ts';
import { execLine, sealedServer } from '../../agent/install/units/text.ts';
import { ROOT_SOCKETS } from '../../agent/platform/paths.ts';
import { dataPlaces } from '../../agent/roles/postgres/place.ts';

describe('a command line in a unit', () => {
  test('is left as it is where systemd has nothing to say about it', () => {
    expect(execLine(['/usr/bin/postgres', '-D', '/data', '-c', 'config_file=/a/b.conf'])).toBe(
      '/usr/bin/postgres -D /data -c config_file=/a/b.conf',
    );
  });

  test('is quoted where it has blanks, quotes, specifiers or variables', () => {
    expect(execLine(['/a b', '100%', '$HOME', 'say "x\\y"', ''])).toBe(
      '"/a b" 100%% "$$HOME" "say \\"x\\\\y\\"" ""',
    );
  });
});

describe('calls as root', () => {
  const config = makeConfig({ user: 'manager', consul: { data_dir: '/srv/a b/consul' } });
  const units = new Map(rootCallUnits(config));
  const lines = (name: string) => (units.get(name) ?? '').split('\n');

  test('come by a socket for each user, which that user alone can open', () => {
    for (const [name, user, path] of [
      ['agent', 'manager', ROOT_SOCKETS.agent],
      ['postgres', 'postgres', ROOT_SOCKETS.postgres],
    ] as const) {
      const socket = lines(`cloudify-root-${name}.socket`);
      for (const line of [`ListenStream=${path}`, `SocketUser=${user}`, 'SocketMode=0600', 'Accept=yes'])
        expect(socket).toContain(line);
      expect(lines(`cloudify-root-${name}@.service`)).toContain(
        `ExecStart=/opt/cloudify/sudo_trampoline answer ${user}`,
      );
      const around = folders(config).find((one) => path.startsWith(`${one.path}/`));
      expect([around?.owner, around?.group, around?.mode]).toEqual(['root', user, 0o750]);
    }
  });

  test('are answered while the machine goes down: neither socket nor service, nor what they need, is to stop', () => {
    for (const [name] of units) {
      expect(lines(name)).toContain('DefaultDependencies=no');
      expect(units.get(name)).not.toMatch(/^(Conflicts|Requires|BindsTo|PartOf|Requisite)=/m);
    }
    for (const name of ['cloudify-root-agent@.service', 'cloudify-root-postgres@.service']) {
      expect(lines(name)).toContain('Slice=system.slice');
      // A /tmp of its own requires the mount of /tmp.
      expect(units.get(name)).not.toMatch(
        /^(PrivateTmp|\w+Directory|RequiresMountsFor|StandardOutput=(file|append))/m,
      );
    }
    for (const [unit, socket] of [
      [agentUnit(config), 'cloudify-root-agent.socket'],
      [postgresHelperUnit(config), 'cloudify-root-postgres.socket'],
    ] as const)
      for (const key of ['Wants', 'After', 'Upholds']) expect(listed(unit, key)).toContain(socket);
  });

  test('never end a socket, however many come, and leave no failed units behind', () => {
    expect(lines('cloudify-root-agent.socket')).toContain('TriggerLimitIntervalSec=0');
    expect(listed(units.get('cloudify-root-agent.socket') ?? '', 'MaxConnections')).toEqual(['16']);
    expect(lines('cloudify-root-agent@.service')).toContain('CollectMode=inactive-or-failed');
  });

  test('of PostgreSQL’s helper have no privilege but to be root towards systemd', () => {
    const unit = units.get('cloudify-root-postgres@.service') ?? '';
    expect(listed(unit, 'CapabilityBoundingSet')).toEqual([]);
    expect(listed(unit, 'ReadWritePaths')).toEqual(['-/var/log/cloudify-root']);
    expect(listed(units.get('cloudify-root-agent@.service') ?? '', 'ReadWritePaths')).toContain(
      '-/srv/a b/consul',
    );
  });
});

test('no unit that runs as a mere user can gain privileges, or open a device that is not named', () => {
  const config = makeConfig();
  for (const unit of [agentUnit(config), postgresHelperUnit(config)]) {
    expect(unit).toMatch(/^NoNewPrivileges=yes$/m);
    expect(unit).toMatch(/^CapabilityBoundingSet=$/m);
    expect(listed(unit, 'PrivateDevices')).toEqual(['yes']);
  }
  const watched = agentUnit(makeConfig({ watchdog_device: '/dev/watchdog' }));
  expect(listed(watched, 'PrivateDevices').at(-1)).toBe('no');
  expect(listed(watched, 'DeviceAllow')).toEqual(['/dev/watchdog', 'rw']);
});

test('the agent and the helper reach what they have to: sockets in /tmp, data in /home, and folders below /etc', () => {
  const config = makeConfig({ postgres: { socket_dir: '/tmp', data_dir: '/home/pg/data' } });
  const last = (unit: string, key: string) => listed(unit, key).at(-1);
  for (const unit of [agentUnit(config), postgresHelperUnit(config)]) {
    expect(last(unit, 'PrivateTmp')).toBe('no');
    expect(last(unit, 'ProtectProc')).toBe('default');
  }
  expect(last(postgresHelperUnit(config), 'ProtectHome')).toBe('no');
  expect(last(postgresHelperUnit(makeConfig()), 'ProtectHome')).toBe('read-only');
  expect(last(agentUnit(config), 'ProtectSystem')).toBe('yes');
});

test('the agent is back within 200 ms however often it dies, and a hung one is killed', () => {
  const unit = agentUnit(makeConfig());
  for (const line of [
    'Type=notify',
    'NotifyAccess=all',
    'Restart=always',
    'RestartSec=200ms',
    'StartLimitIntervalSec=0',
    'WatchdogSec=10',
    'KillMode=process',
  ])
    expect(unit.split('\n')).toContain(line);
});

test('a lease helper that hangs is killed too, and nobody waits for its start', () => {
  const lines = leaseUnit(makeConfig()).split('\n');
  for (const line of [
    'Type=exec',
    'NotifyAccess=all',
    'WatchdogSec=10',
    'WatchdogSignal=SIGKILL',
    'Restart=always',
  ])
    expect(lines).toContain(line);
});

test('the agent stops before the database when the machine goes down, and waits for no service of the manager', () => {
  const config = makeConfig({ services: [{ name: 'rabbitmq', unit: 'rabbitmq-server.service' }] });
  const after = /^After=(.*)$/m.exec(agentUnit(config))?.[1]?.split(' ');
  expect(after).toContain('cloudify-postgresql.service');
  // A broker that is starting must not hold up an agent that is restarted.
  expect(after).not.toContain('rabbitmq-server.service');
});

test('the boot rules come before the network, after whoever clears rules at boot, and are unhooked when given back', () => {
  const unit = bootUnit(makeConfig());
  expect(unit).toMatch(/^Before=network-pre\.target$/m);
  expect(unit).toMatch(/^After=.*nftables\.service/m);
  expect(unit.match(/^ExecStart=/gm)?.length).toBe(3);
  expect(unit).toMatch(/^ExecStop=-.*iptables.* CLOUDIFY-IN/m);
});

test('nothing of the boot unit needs a mount namespace: making one can fail while the machine mounts', () => {
  const needs =
    /^(Private(Tmp|Devices|Mounts|IPC)|Protect(System|Home|Kernel\w+|ControlGroups|Proc)|ProcSubset|\w+Paths|TemporaryFileSystem|RootDirectory|MountAPIVFS)=/m;
  expect(bootUnit(makeConfig())).not.toMatch(needs);
  expect(bootUnit(makeConfig())).toMatch(/^NoNewPrivileges=yes$/m);
});

/** Programs are looked for on this machine: those of the test's own are there. */
const withFiles = (more: object = {}) =>
  makeConfig({
    files: { binary: process.execPath, folders: [{ id: 'a', path: '/srv/a b' }] },
    ...more,
  } as never);
const listed = (unit: string, key: string): string[] =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].flatMap(([, words = '']) =>
    [...words.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? ''),
  );

test('Syncthing sees a list of folders and of the system what is read-only, and writes in its folders alone', () => {
  const unit = syncthingUnit(withFiles()) ?? '';
  expect(listed(unit, 'TemporaryFileSystem')).toEqual(['/:ro']);
  // Of two that are about the root systemd keeps one: with this everything would be there, read-only.
  expect(listed(unit, 'ProtectSystem').at(-1)).toBe('no');
  const own = ['-/var/lib/cloudify/syncthing', '-/srv/a b'];
  expect(listed(unit, 'BindPaths')).toEqual(own);
  expect(listed(unit, 'ReadWritePaths')).toEqual(own);
  // What is on the list is no secret, no socket and no data of anybody.
  for (const path of listed(unit, 'BindReadOnlyPaths'))
    expect(path).toMatch(
      /^-(\/(usr|bin|sbin|lib|lib32|lib64|libx32|proc|sys)|\/etc\/(ssl|ld\.so\.cache|passwd|group|nsswitch\.conf|hosts|resolv\.conf|localtime|mime\.types)|.*\/bun[^/]*)$/,
    );
  expect(unit).not.toContain('InaccessiblePaths');
});

test('a data directory that is a link is not shut away where it leads to, neither for the server nor for its helper', () => {
  const dir = mkdtempSync(join(tmpdir(), 'agent-units-'));
  try {
    mkdirSync(join(dir, 'real'));
    symlinkSync('/home/pg/data', join(dir, 'real', 'data'));
    const config = makeConfig({ postgres: { data_dir: join(dir, 'real', 'data'), bin_dir: '/usr/bin' } });
    expect(listed(postgresHelperUnit(config), 'ProtectHome').at(-1)).toBe('no');
    expect(dataPlaces(join(dir, 'real', 'data'))).toContain('/home/pg/data');
  } finally {
    rmSync(dir, { recursive: true });
  }
  expect(listed(postgresHelperUnit(makeConfig()), 'ProtectHome').at(-1)).toBe('read-only');
});

test('units that call members are told of no proxy, whatever the service manager sets for all', () => {
  const config = withFiles({ consul: { binary: process.execPath } });
  for (const unit of [consulUnit(config), syncthingUnit(config) ?? '']) {
    const kept = listed(unit, 'UnsetEnvironment');
    expect(kept).toEqual(expect.arrayContaining(['HTTP_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']));
  }
});

test.each([
  ['/var/lib/postgresql/15/main', '/var/run/postgresql', ['full', 'yes', 'yes']],
  ['/home/pg/data', '/var/run/postgresql', ['full', 'no', 'yes']],
  ['/usr/local/pgsql/data', '/var/run/postgresql', ['no', 'yes', 'yes']],
  ['/data', '/tmp', ['full', 'yes', 'no']],
  ['/homeless', '/tmpfs', ['full', 'yes', 'yes']],
])('the sandbox of a server in %s with its socket in %s hides neither', (dataDir, socketDir, shut) => {
  const unit = `\n${sealedServer([dataDir, socketDir], ['/usr/lib/postgresql/15/bin'])
    .map((line) => line?.join('='))
    .join('\n')}`;
  expect(['ProtectSystem', 'ProtectHome', 'PrivateTmp'].map((key) => listed(unit, key)[0] ?? '')).toEqual(
    shut,
  );
  // It is ended and looked after by others of its user.
  expect(unit).not.toContain('RemoveIPC');
});

test('sudoers: the agent may call the trampoline, PostgreSQL its own three verbs, and nobody takes an environment along', () => {
  const lines = renderSudoers(makeConfig()).trim().split('\n');
  expect(lines.filter((line) => line.includes('NOPASSWD'))).toEqual([
    'cfyuser ALL=(root:root) NOPASSWD: /opt/cloudify/sudo_trampoline',
    'postgres ALL=(root:root) NOPASSWD: ' +
      ['start', 'stop', 'kill']
        .map((verb) => `/opt/cloudify/sudo_trampoline service ${verb} cloudify-postgresql.service`)
        .join(', '),
  ]);
  for (const line of lines.filter((one) => one.startsWith('Defaults')))
    for (const word of ['env_reset', '!setenv', '!env_keep', 'runcwd=/', 'secure_path='])
      expect(line).toContain(word);
});

test('sudoers: a path with blanks and commas stays one path', () => {
  const text = renderSudoers(makeConfig({ paths: { executable: '/opt/a b,c/agent' } }));
  expect(text).toContain('NOPASSWD: /opt/a\\ b\\,c/sudo_trampoline\n');
});

test('the folders of /run are those that install makes', () => {
  expect(renderTmpfiles(makeConfig()).split('\n').slice(1, -2)).toEqual([
    'd /run/cloudify 0750 cfyuser cluster -',
    'd /run/cloudify-lease 0750 root cfyuser -',
    'd /run/cloudify-postgres 0750 postgres cfyuser -',
    'd /run/cloudify-root-agent 0750 root cfyuser -',
    'd /run/cloudify-root-postgres 0750 root postgres -',
  ]);
});

test('saved copies of databases are for the agent and the server, not for the users of Consul and Syncthing', () => {
  const config = makeConfig();
  const saved = folders(config).find(({ path }) => path === config.paths.diverged_dir);
  expect((saved?.mode ?? 0o777) & 0o007).toBe(0);
  const readers = new Set([saved?.owner, saved?.group]);
  for (const wanted of accountsWanted(config)) {
    if (wanted.kind === 'member' && wanted.group === saved?.group) readers.add(wanted.user);
    if (wanted.kind === 'user' && wanted.group === saved?.group) readers.add(wanted.name);
  }
  expect([...readers].sort()).toEqual(['cfyuser', 'postgres']);
});

test('accounts are read from their files, comments and NIS lines left out', () => {
  expect(parsePasswd('root:x:0:0:root:/root:/bin/sh\n# no\n+::::::\n')).toEqual([
    { name: 'root', uid: 0, gid: 0, home: '/root' },
  ]);
  expect(parseGroup('cluster:x:997:cfyuser,postgres\nempty:x:5:\n')).toEqual([
    { name: 'cluster', gid: 997, members: ['cfyuser', 'postgres'] },
    { name: 'empty', gid: 5, members: [] },
  ]);
});

test('units are read from what systemctl shows; a replaced executable makes one outdated', () => {
  const shown = (id: string, load: string, file: string, active: string, pid: number) =>
    `Id=${id}\nLoadState=${load}\nUnitFileState=${file}\nActiveState=${active}\nNeedDaemonReload=no\nMainPID=${pid}`;
  const text = [
    shown('a.service', 'loaded', 'enabled', 'active', 7),
    shown('b.service', 'masked', 'masked', 'inactive', 0),
    shown('c.service', 'not-found', '', 'inactive', 0),
  ].join('\n\n');
  const units = parseUnits(text, (pid) => pid === '7');
  expect(units.get('a.service')).toEqual({
    failed: false,
    ...{ loaded: true, enabled: true, masked: false, active: true, outdated: true },
  });
  expect(units.get('b.service')).toMatchObject({ loaded: false, masked: true, enabled: false });
  expect(units.get('c.service')).toMatchObject({ loaded: false, active: false, outdated: false });
});
