import { beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseConfig } from '../../agent/config/index.ts';
import { agentNote, leaseNote, leasePrints, noteText, printsOf } from '../../agent/config/prints.ts';
import { defaultConfig, findPostgres } from '../../agent/install/default_config.ts';
import { changeLine, changesOf } from '../../agent/install/diff.ts';
import { doneLine } from '../../agent/install/done.ts';
import { install, installChanges, requireRoot } from '../../agent/install/install.ts';
import { CONFIG_FILE } from '../../agent/install/names.ts';
import { planOf } from '../../agent/install/plan.ts';
import { FakeMachine } from './fake_machine.ts';

// Programs are looked for on the real machine: named, they are not.
const bin = mkdtempSync(join(tmpdir(), 'install-'));
mkdirSync(join(bin, 'pg'));
for (const name of ['consul', 'syncthing', 'pg/postgres'])
  writeFileSync(join(bin, name), '#!/bin/sh\n', { mode: 0o755 });
process.on('exit', () => rmSync(bin, { recursive: true }));

const yaml = (more = '') => `
postgres: { bin_dir: ${bin}/pg, data_dir: /data }
consul: { binary: ${bin}/consul }
${more}`;
const SOURCE = '/root/agent';

let machine: FakeMachine;
beforeEach(() => {
  machine = new FakeMachine();
  machine.lay(SOURCE, 'version 1');
  machine.lay(CONFIG_FILE, yaml());
});

const lines = async () => (await installChanges(machine, { source: SOURCE })).map(changeLine);
const run = () => install(machine, { source: SOURCE }, () => {});

describe('install', () => {
  test('makes everything in an order that can be made, and has nothing to change after it', async () => {
    expect((await run()).length).toBeGreaterThan(50);
    expect(await lines()).toEqual([]);
  });

  test('interrupted at any point is finished by the next run', async () => {
    const total = (await lines()).length;
    for (let stop = 0; stop < total; stop++) {
      const fresh = new FakeMachine();
      fresh.lay(SOURCE, 'version 1');
      fresh.lay(CONFIG_FILE, yaml());
      let done = 0;
      const dies = install(fresh, { source: SOURCE }, () => {
        if (done++ === stop) throw new Error('killed');
      });
      await expect(dies).rejects.toThrow('killed');
      await install(fresh, { source: SOURCE }, () => {});
      expect(await installChanges(fresh, { source: SOURCE })).toEqual([]);
    }
  });

  test('only looks in a dry run', async () => {
    const before = structuredClone([machine.paths, machine.users, machine.groups]);
    await lines();
    expect([machine.paths, machine.users, machine.groups]).toEqual(before);
    expect(machine.ran).toEqual([]);
  });

  test('names what was spoilt, each in its own words', async () => {
    await run();
    machine.paths.set('/var/lib/cloudify/agent', {
      type: 'folder',
      owner: 'root',
      group: 'cluster',
      mode: 0o777,
    });
    machine.lay('/etc/sudoers.d/cloudify', 'cfyuser ALL=(ALL) NOPASSWD: ALL\n', { mode: 0o440 });
    machine.paths.delete('/opt/cloudify/sudo_trampoline');
    machine.lay('/etc/cloudify/firewall/fenced.v4', '', { type: 'link', target: '/tmp/x' });
    machine.unitStates.set('cloudify-postgresql.service', { enabled: true, active: false, outdated: false });
    expect(await lines()).toEqual([
      '/var/lib/cloudify/agent belongs to root:cluster, should belong to cfyuser:cluster; has mode 0777, should have 2750',
      '/opt/cloudify/sudo_trampoline is to be a link to agent',
      '/etc/cloudify/firewall/fenced.v4 is a link, should be a file',
      '/etc/sudoers.d/cloudify has other content',
      'cloudify-postgresql.service is to be disabled',
    ]);
  });

  test('says of each change what was done, when it was done', async () => {
    const told: string[] = [];
    const say = () => install(machine, { source: SOURCE }, (change) => told.push(doneLine(change)));
    await say();
    for (const line of [
      'created group cluster',
      'created user cfyuser',
      'added user postgres to group cluster',
      'created /var/lib/cloudify/agent',
      `copied ${SOURCE} to /opt/cloudify/agent`,
      'made /opt/cloudify/sudo_trampoline a link to agent',
      'wrote /etc/sudoers.d/cloudify',
      'enabled cloudify-agent.service',
      'started cloudify-agent.service',
    ])
      expect(told).toContain(line);
    expect(told.filter((line) => /is to be|should/.test(line))).toEqual([]);
    told.length = 0;
    machine.paths.set('/var/lib/cloudify/agent', {
      type: 'folder',
      owner: 'root',
      group: 'cluster',
      mode: 0o777,
    });
    machine.lay('/etc/sudoers.d/cloudify', 'other', { mode: 0o440 });
    machine.lay(SOURCE, 'version 2');
    await say();
    expect(told).toEqual([
      'gave /var/lib/cloudify/agent to cfyuser:cluster, mode 2750',
      `replaced /opt/cloudify/agent by ${SOURCE}`,
      'wrote /etc/sudoers.d/cloudify anew',
      'restarted cloudify-postgres-helper.service: it ran from what was replaced',
      'restarted cloudify-lease.service: it ran from what was replaced',
      'restarted cloudify-agent.service: it ran from what was replaced',
    ]);
  });

  test("lets Syncthing's home be as shut as Syncthing makes it", async () => {
    await run();
    const home = { type: 'folder', owner: 'cfyuser', group: 'cfyuser_syncthing' } as const;
    machine.paths.set('/var/lib/cloudify/syncthing', { ...home, mode: 0o700 });
    expect(await lines()).toEqual([]);
    machine.paths.set('/var/lib/cloudify/syncthing', { ...home, mode: 0o777 });
    expect(await lines()).toEqual(['/var/lib/cloudify/syncthing has mode 0777, should have 2770']);
  });

  test('never touches an agent.yaml that is there, but gives it back its owner', async () => {
    const text = machine.read(CONFIG_FILE);
    await run();
    expect(machine.read(CONFIG_FILE)).toBe(text ?? '');
    expect(machine.look(CONFIG_FILE)).toMatchObject({ owner: 'root', group: 'cluster', mode: 0o640 });
  });

  test('of a new executable restarts what runs from the old one, once', async () => {
    await run();
    machine.lay(SOURCE, 'version 2');
    machine.ran.length = 0;
    await run();
    expect(machine.ran.filter((line) => line.includes('restart'))).toEqual([
      'systemctl --quiet restart cloudify-postgres-helper.service',
      'systemctl --quiet restart cloudify-lease.service',
      'systemctl --quiet restart cloudify-agent.service',
    ]);
    expect(await lines()).toEqual([]);
  });

  test('restarts what an interrupted upgrade left running from the old file', async () => {
    await run();
    machine.unitStates.set('cloudify-agent.service', { enabled: true, active: true, outdated: true });
    expect(await lines()).toEqual([
      'cloudify-agent.service is to be restarted: it runs from what was replaced',
    ]);
  });

  test('of a changed unit file reloads systemd before it touches the unit', async () => {
    await run();
    machine.lay('/etc/systemd/system/cloudify-agent.service', 'old');
    machine.ran.length = 0;
    await run();
    expect(machine.ran).toEqual([
      'systemctl daemon-reload',
      'systemctl --quiet restart cloudify-agent.service',
    ]);
  });

  test('refuses a configuration of children, which needs no machine', async () => {
    machine.lay(CONFIG_FILE, 'driver: child\n');
    await expect(lines()).rejects.toThrow("'driver: child'");
  });

  test('is for root alone', () => {
    expect(() => requireRoot('agent install', 1000)).toThrow('agent install needs root');
    expect(() => requireRoot('agent install', 0)).not.toThrow();
  });
});

describe('the default configuration', () => {
  test('takes the newest data directory, with the settings Debian keeps elsewhere', async () => {
    machine.paths.delete(CONFIG_FILE);
    for (const version of ['9', '13', '15']) machine.lay(`/var/lib/postgresql/${version}/main/PG_VERSION`);
    machine.lay('/etc/postgresql/15/main/postgresql.conf');
    expect(findPostgres(machine)).toEqual({
      dataDir: '/var/lib/postgresql/15/main',
      originalConfig: '/etc/postgresql/15/main/postgresql.conf',
    });
  });

  test('is one that loads, with or without a database', () => {
    expect(parseConfig(defaultConfig(machine)).postgres.original_config).toBeUndefined();
    machine.lay('/var/lib/pgsql/data/PG_VERSION');
    expect(parseConfig(defaultConfig(machine)).postgres.data_dir).toBe('/var/lib/pgsql/data');
  });

  const conf = '/etc/postgresql/15/main/postgresql.conf';
  const withDatabase = (text: string) => {
    machine.lay('/var/lib/postgresql/15/main/PG_VERSION', '15\n');
    machine.lay(conf, text);
    return defaultConfig(machine);
  };

  test('keeps where clients find the database that is there, and says by which line', () => {
    machine.lay('/etc/postgresql/15/main/conf.d/own.conf', "listen_addresses = '*'\n");
    machine.lay(
      '/var/lib/postgresql/15/main/postgresql.auto.conf',
      "unix_socket_directories = '/srv/pg, /tmp'\n",
    );
    const text = withDatabase("# a comment\nport = 5433\ninclude_dir = 'conf.d'\n");
    expect(parseConfig(text).postgres).toMatchObject({
      port: 5433,
      listen: ['0.0.0.0', '::'],
      socket_dir: '/srv/pg',
    });
    expect(text).toContain(`
  # Where clients find it: port = '5433' in ${conf}, line 2
  port: 5433
  # Where clients find it: listen_addresses = '*' in /etc/postgresql/15/main/conf.d/own.conf, line 1
  listen: ["0.0.0.0", "::"]
  # Where clients find it: unix_socket_directories = '/srv/pg, /tmp' in /var/lib/postgresql/15/main/postgresql.auto.conf, line 1
  socket_dir: "/srv/pg"
`);
  });

  test('says nothing of what is as it would be anyway, or waits for the address of the node', () => {
    const text = withDatabase(
      "port = 5432\nlisten_addresses = 'localhost, 10.0.0.11'\nunix_socket_directories = '/var/run/postgresql'\n",
    );
    expect(text).not.toContain('Where clients find it');
  });

  test('of settings that agent.yaml cannot have makes a comment: it loads, whatever a file says', () => {
    const hostile =
      "port = '5433\\nuser: root'\nunix_socket_directories = '@abstract'\nlisten_addresses = '0.0.0.0'\n";
    const text = withDatabase(hostile);
    expect(parseConfig(text)).toMatchObject({
      user: 'cfyuser',
      postgres: { port: 5432, listen: ['0.0.0.0'], socket_dir: '/run/postgresql' },
    });
    expect(text).toContain('  # socket_dir: "@abstract"\n');
  });

  test('is there also for a user who may not read the settings', () => {
    machine.lay('/var/lib/postgresql/15/main/PG_VERSION', '15\n');
    machine.lay(conf, 'port = 5433\n');
    const blind = Object.assign(Object.create(machine), {
      read: () => {
        throw new Error('cannot read it');
      },
    });
    expect(parseConfig(defaultConfig(blind)).postgres.port).toBe(5432);
  });
});

describe('the plan', () => {
  const plan = (more = '') => planOf(parseConfig(yaml(more)), { configText: '' });

  test('lets nobody but root write where root reads, or in the folders above', () => {
    const folders = new Map(
      plan().flatMap((one) => (one.kind === 'folder' ? [[one.path, one] as const] : [])),
    );
    for (const one of plan()) {
      if (one.kind !== 'file') continue;
      expect([one.path, one.owner, one.mode & 0o022]).toEqual([one.path, 'root', 0]);
      for (let above = one.path; above !== '/'; above = join(above, '..')) {
        const folder = folders.get(above);
        if (folder) expect([above, folder.owner, folder.mode & 0o022]).toEqual([above, 'root', 0]);
      }
    }
  });

  test('puts every folder after the one it is in', () => {
    const paths = plan().flatMap((one) => (one.kind === 'folder' ? [one.path] : []));
    for (const [index, path] of paths.entries())
      for (const other of paths.slice(index)) expect(path.startsWith(`${other}/`)).toBe(false);
  });

  test('has Syncthing only with files to carry, and the boot rules only with a firewall', () => {
    const units = (more: string) =>
      plan(more).flatMap((one) =>
        one.kind === 'file' ? (/cloudify-(\S+)\.service$/.exec(one.path)?.[1] ?? []) : [],
      );
    const always = ['lease', 'postgres-helper', 'postgresql', 'consul'];
    const calls = ['root-agent@', 'root-postgres@'];
    const files = `files: { binary: ${bin}/syncthing, folders: [{ id: a, path: /srv/a }] }`;
    expect(units(files)).toEqual([...always, 'syncthing', 'iptables-restore', ...calls, 'agent']);
    expect(units('firewall: { enabled: false }')).toEqual([...always, ...calls, 'agent']);
  });

  test('follows the names of users and groups in the configuration', async () => {
    machine.lay(CONFIG_FILE, yaml('user: manager\ngroup: managers\n'));
    await run();
    expect([...machine.users.keys()]).toEqual(['postgres', 'manager', 'manager_consul', 'manager_syncthing']);
    expect(machine.groups.get('managers')).toEqual([
      'manager',
      'manager_consul',
      'manager_syncthing',
      'postgres',
    ]);
    expect(await changesOf(planOf(parseConfig(yaml()), { configText: '' }), machine)).not.toEqual([]);
  });
});

describe('a configuration that is not in force', () => {
  const changed = yaml('services: [{ name: broker, unit: rabbitmq-server.service }]\n');
  /** What the processes note when they start. */
  const noted = (text: string) => {
    const config = parseConfig(text, CONFIG_FILE);
    machine.lay(agentNote(config), noteText(printsOf(config)), { owner: 'cfyuser' });
    machine.lay(leaseNote(config), noteText(leasePrints(config)));
  };

  test('edited, or taken in: what root made is made anew, and what read the old file is restarted, once', async () => {
    await run();
    noted(yaml());
    expect(await lines()).toEqual([]);
    machine.lay(CONFIG_FILE, changed, { group: 'cluster', mode: 0o640 });
    expect(await lines()).toEqual([
      '/etc/cloudify/trampoline.json has other content',
      '/etc/cloudify/installed.json has other content',
      'cloudify-lease.service is to be restarted: it runs with another configuration (services)',
      'cloudify-agent.service is to be restarted: it runs with another configuration (services)',
    ]);
    await run();
    noted(changed);
    expect(await lines()).toEqual([]);
  });

  test('interrupted before the restart, the next run restarts', async () => {
    await run();
    noted(yaml());
    machine.lay(CONFIG_FILE, changed, { group: 'cluster', mode: 0o640 });
    await install(machine, { source: SOURCE }, ({ subject }) => {
      if (subject === '/etc/cloudify/installed.json') throw new Error('killed');
    }).catch(() => {});
    expect(await lines()).toEqual([
      'cloudify-lease.service is to be restarted: it runs with another configuration (services)',
      'cloudify-agent.service is to be restarted: it runs with another configuration (services)',
    ]);
  });

  test('of no concern to the helper of the lease restarts the agent alone', async () => {
    await run();
    noted(yaml());
    machine.lay(CONFIG_FILE, yaml('tags: { priority: 7 }\n'), { group: 'cluster', mode: 0o640 });
    machine.ran.length = 0;
    await run();
    expect(machine.ran).toEqual(['systemctl --quiet restart cloudify-agent.service']);
  });

  test('a note that is no file, or none of ours, restarts nothing and is not gone by', async () => {
    await run();
    const config = parseConfig(yaml(), CONFIG_FILE);
    machine.lay(agentNote(config), '', { type: 'link', target: '/etc/shadow' });
    machine.lay(leaseNote(config), '{"schema":1,"prints":{"services":"x"}}');
    expect(await lines()).toEqual([]);
  });
});

describe("a user that is not the agent's alone", () => {
  const REASON = 'cloudify-mgmtworker.service runs as it';
  const told = (text: string) => text.split('\n').find((line) => /^user\s*:/.test(line));
  const POSTGRES = 'cloudify-postgresql.service';
  /**
   * An installed manager whose cfyuser turns out to be somebody else's too; a file of each user below its
   * folders.
   */
  async function shared(): Promise<void> {
    await run();
    machine.shared.set('cfyuser', [REASON]);
    machine.lay('/etc/cloudify/cluster-ssl/ca.key', '', { owner: 'cfyuser', group: 'cluster', mode: 0o600 });
    machine.lay('/var/lib/cloudify/consul/raft', '', { owner: 'cfyuser_consul', group: 'cfyuser' });
    machine.lay('/var/lib/cloudify/syncthing/index', '', {
      owner: 'cfyuser_syncthing',
      group: 'cfyuser_syncthing',
    });
    machine.lay('/var/lib/cloudify/diverged/1/dump', '', { owner: 'postgres', group: 'cfyuser' });
  }

  test('where there is no agent.yaml, the one that install writes names another, and says why', async () => {
    machine.paths.delete(CONFIG_FILE);
    machine.shared.set('cfyuser', [REASON]);
    machine.lay('/etc/cloudify/agent.yaml', yaml('# a comment'));
    await run();
    expect(told(machine.read(CONFIG_FILE) ?? '')).toMatch(/^user: cloudify_agent #/);
    expect(machine.read(CONFIG_FILE)).toContain('# a comment');
    expect(machine.user('cloudify_agent')).toBeDefined();
    expect(machine.user('cfyuser')).toBeUndefined();
    expect(machine.read('/etc/sudoers.d/cloudify')).not.toContain('cfyuser');
    expect(machine.read('/etc/systemd/system/cloudify-agent.service')).toContain('User=cloudify_agent\n');
    expect(await lines()).toEqual([]);
  });

  test('a user that the file names is replaced in its line', async () => {
    machine.lay(CONFIG_FILE, yaml('user: manager\n'));
    machine.shared.set('manager', ['user nginx is in its group']);
    const line = (await lines()).find((one) => one.startsWith(CONFIG_FILE));
    expect(line).toContain(
      "is to say 'user: cloudify_agent': manager is not the agent's alone: user nginx is in its group",
    );
    await run();
    expect(machine.read(CONFIG_FILE)?.match(/^user:/gm)).toHaveLength(1);
  });

  test('one that is shared as well is not proposed; without any, nothing is changed', async () => {
    machine.shared.set('cfyuser', [REASON]).set('cloudify_agent', ['it can log in']);
    expect((await lines()).join()).toContain("'user: cluster_agent'");
    machine.shared.set('cluster_agent', ['it can log in']);
    await expect(run()).rejects.toMatchObject({
      code: 'user_shared',
      hint: expect.stringContaining("'user: NAME'"),
    });
    expect(machine.user('cluster')).toBeUndefined();
  });

  test('a file of another form is left alone: it is to be written by hand', async () => {
    machine.lay(
      CONFIG_FILE,
      JSON.stringify({
        postgres: { bin_dir: `${bin}/pg`, data_dir: '/data' },
        consul: { binary: `${bin}/consul` },
      }),
    );
    machine.shared.set('cfyuser', [REASON]);
    await expect(run()).rejects.toMatchObject({ code: 'user_shared' });
  });

  test('what an installed manager has is moved, the earlier users leave the group, and nothing is left to change', async () => {
    await shared();
    await run();
    for (const [path, entry] of machine.paths) {
      if (path.startsWith('/run/') || path.startsWith('/root')) continue;
      expect([path, entry.owner, entry.group].join(' ')).not.toMatch(/ cfyuser/);
    }
    expect(machine.look('/etc/cloudify/cluster-ssl/ca.key')).toMatchObject({
      owner: 'cloudify_agent',
      mode: 0o600,
    });
    expect(machine.look('/var/lib/cloudify/consul/raft')).toMatchObject({
      ...{ owner: 'cloudify_agent_consul', group: 'cloudify_agent' },
    });
    expect(machine.group('cluster')?.members.filter((name) => name.startsWith('cfyuser'))).toEqual([]);
    expect(await lines()).toEqual([]);
  });

  test('interrupted at any point, the move is finished by the next run', async () => {
    await shared();
    const total = (await lines()).length;
    for (let stop = 0; stop < total; stop++) {
      machine = new FakeMachine();
      machine.lay(SOURCE, 'version 1');
      machine.lay(CONFIG_FILE, yaml());
      await shared();
      let done = 0;
      const dies = install(machine, { source: SOURCE }, () => {
        if (done++ === stop) throw new Error('killed');
      });
      await expect(dies).rejects.toThrow('killed');
      await run();
      expect(await lines()).toEqual([]);
      expect(machine.look('/var/lib/cloudify/diverged/1/dump')?.group).toBe('cloudify_agent');
      expect(machine.group('cluster')?.members).not.toContain('cfyuser');
    }
  });

  test('not while clients write to the database: the move stops it', async () => {
    await shared();
    machine.unitStates.set(POSTGRES, { enabled: false, active: true, outdated: false });
    const before = structuredClone([machine.paths, machine.users, machine.groups]);
    await expect(run()).rejects.toMatchObject({
      code: 'active_here',
      hint: expect.stringContaining('set-active'),
    });
    await expect(lines()).rejects.toMatchObject({ code: 'active_here' });
    expect([machine.paths, machine.users, machine.groups]).toEqual(before);
    machine.lay('/data/standby.signal');
    await run();
    expect(await lines()).toEqual([]);
  });
});
