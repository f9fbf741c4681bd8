import { beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseConfig } from '../../agent/config/index.ts';
import { install } from '../../agent/install/install.ts';
import { CONFIG_FILE } from '../../agent/install/names.ts';
import { doSteps, stepsToDo } from '../../agent/install/steps.ts';
import { membership, teardownSteps } from '../../agent/install/teardown.ts';
import { refuseInCluster, uninstallSteps } from '../../agent/install/uninstall.ts';
import { FakeMachine } from './fake_machine.ts';

const bin = mkdtempSync(join(tmpdir(), 'give-back-'));
mkdirSync(join(bin, 'pg'));
for (const name of ['consul', 'pg/postgres']) writeFileSync(join(bin, name), '#!/bin/sh\n', { mode: 0o755 });
process.on('exit', () => rmSync(bin, { recursive: true }));

const yaml = `
postgres: { bin_dir: ${bin}/pg, data_dir: /data }
consul: { binary: ${bin}/consul }
`;
const config = parseConfig(yaml);
const STATE = '/var/lib/cloudify/agent';
const TAKEN = '/var/lib/cloudify-root/units-taken.json';

let machine: FakeMachine;
beforeEach(async () => {
  machine = new FakeMachine();
  machine.lay('/root/agent', 'version 1');
  machine.lay(CONFIG_FILE, yaml);
  machine.prints.set('iptables -w 5 -S', '-P INPUT ACCEPT\n-A INPUT -p tcp -j ACCEPT\n');
  await install(machine, { source: '/root/agent' }, () => {});
  machine.ran.length = 0;
});

/** As start or join leave it. */
function clustered(role: 'primary' | 'standby'): void {
  machine.lay(`${STATE}/membership.json`, JSON.stringify({ nodeName: 'm1' }), { owner: 'cfyuser' });
  machine.lay(`${STATE}/postgres/cluster.conf`, '', { owner: 'postgres' });
  machine.lay('/var/lib/cloudify/consul/raft/raft.db', '', { owner: 'cfyuser_consul' });
  machine.lay('/data/PG_VERSION', '15\n');
  if (role === 'standby') machine.lay('/data/standby.signal');
  machine.lay(TAKEN, '{"postgresql.service":{"file":"enabled","active":true}}');
  machine.prints.set('/opt/cloudify/sudo_trampoline units give', '');
  machine.unitStates.set('cloudify-postgresql.service', { enabled: false, active: true, outdated: false });
  const psql = `setpriv --reuid=postgres --regid=postgres --init-groups -- ${bin}/pg/psql`;
  machine.prints.set(psql, role === 'standby' ? 't\n' : 'f\n');
}

const teardown = () => teardownSteps(config, machine, { stamp: 'NOW' });
/** The trampoline is another program: it removes its note. */
async function tearDown() {
  const done = await doSteps(teardown(), () => {});
  if (machine.ran.some((line) => line.endsWith('units give'))) machine.paths.delete(TAKEN);
  return done;
}
const verbs = () =>
  machine.ran.map((line) => /pg_ctl.* (start|promote|stop)\b/.exec(line)?.[1]).filter(Boolean);

describe('teardown', () => {
  test('of a machine in no cluster has nothing to do, and stops nothing', async () => {
    expect(await tearDown()).toEqual([]);
    expect(machine.unitStates.get('cloudify-agent.service')).toMatchObject({ active: true });
  });

  test('promotes a standby, so that it leaves the timeline of its cluster', async () => {
    clustered('standby');
    await tearDown();
    expect(verbs()).toEqual(['start', 'promote', 'stop']);
  });

  test('does not promote a primary', async () => {
    clustered('primary');
    await tearDown();
    expect(verbs()).toEqual(['start', 'stop']);
  });

  test('runs the server where nobody reaches it and nobody is waited for', async () => {
    clustered('primary');
    await tearDown();
    const start = machine.ran.find((line) => line.includes('pg_ctl') && line.includes(' start ')) ?? '';
    for (const setting of ['listen_addresses=', 'synchronous_standby_names=', 'primary_conninfo='])
      expect(start).toContain(`-c '${setting}'`);
    expect(machine.ran.some((line) => line.includes('pg_drop_replication_slot'))).toBe(true);
    expect(machine.look('/run/cloudify-teardown')).toBeUndefined();
  });

  test('gives back what ALTER SYSTEM had set, as the owner, once the server is stopped', async () => {
    clustered('primary');
    machine.lay('/data/postgresql.auto.conf.before_cluster', "restore_command = 'x'\n", {
      owner: 'postgres',
    });
    await tearDown();
    const given = machine.ran.findIndex((line) => line.includes('postgresql.auto.conf'));
    expect(machine.ran[given]).toStartWith('setpriv --reuid=postgres');
    expect(given).toBeGreaterThan(machine.ran.findIndex((line) => / stop -s -m fast/.test(line)));
  });

  test('stops the agent before the server, and gives the units back last', async () => {
    clustered('standby');
    await tearDown();
    const at = (part: string) => machine.ran.findIndex((line) => line.includes(part));
    const order = [
      'stop -- cloudify-agent',
      'stop -- cloudify-postgresql',
      ' start ',
      'units give',
      'start -- cloudify',
    ];
    const places = order.map(at);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
  });

  test('keeps the state of the cluster aside, with folders as install made them in its place', async () => {
    clustered('standby');
    await tearDown();
    expect(machine.look('/var/lib/cloudify/former-NOW/agent/membership.json')).toBeDefined();
    expect(machine.look('/var/lib/cloudify/former-NOW/consul/raft/raft.db')).toBeDefined();
    expect(membership(config, machine)).toBeUndefined();
    expect(machine.look(STATE)).toMatchObject({ type: 'folder', owner: 'cfyuser', mode: 0o2750 });
    expect(machine.look(`${STATE}/postgres`)).toMatchObject({ owner: 'postgres' });
  });

  test('of a second time has nothing to do', async () => {
    clustered('standby');
    await tearDown();
    machine.paths.delete('/data/standby.signal');
    expect(await tearDown()).toEqual([]);
  });

  test('stops at a database that does not start, with the settings and the state still there', async () => {
    clustered('standby');
    machine.failing = (line) => line.includes('pg_ctl') && line.includes(' start ');
    await expect(tearDown()).rejects.toThrow('the database in /data could not be made a stand-alone one');
    expect(machine.look(`${STATE}/postgres/cluster.conf`)).toBeDefined();
    expect(machine.ran.some((line) => line.endsWith('units give'))).toBe(false);
    machine.failing = () => false;
    await tearDown();
    expect(machine.ran.some((line) => line.endsWith('units give'))).toBe(true);
    expect(machine.unitStates.get('cloudify-agent.service')).toMatchObject({ active: true });
  });

  test('only tells in a dry run', async () => {
    clustered('standby');
    const told = await stepsToDo(teardown());
    expect(told.map(({ what }) => what)).toEqual([
      'stop the agent and its helpers for the time being',
      'stop Syncthing, PostgreSQL and Consul of the cluster',
      'make the database a stand-alone one',
      "set the cluster's state, certificates and keys aside",
      "give the distribution's units and the manager's services back to systemd, as they were",
    ]);
    expect(machine.ran.filter((line) => !/ -S$| list /.test(line))).toEqual([]);
  });

  test('says of each step what was done, and only what is to be where it only tells', async () => {
    clustered('standby');
    const told: string[] = [];
    await doSteps(teardown(), ({ what }) => told.push(what));
    expect(told).toEqual([
      'stopped the agent and its helpers for the time being',
      'stopped Syncthing, PostgreSQL and Consul of the cluster',
      'made the database a stand-alone one',
      "set the cluster's state, certificates and keys aside",
      "gave the distribution's units and the manager's services back to systemd, as they were",
      'started the agent, which is in no cluster now',
    ]);
  });

  test('leaves no unit of ours failed, and touches no other', async () => {
    clustered('primary');
    const failed = { enabled: false, active: false, outdated: false, failed: true };
    for (const name of ['cloudify-consul.service', 'cloudify-lease.service', 'mine.service'])
      machine.unitStates.set(name, { ...failed });
    await tearDown();
    expect(machine.unitStates.get('cloudify-consul.service')?.failed).toBe(false);
    expect(machine.unitStates.get('cloudify-lease.service')?.failed).toBe(false);
    expect(machine.unitStates.get('mine.service')?.failed).toBe(true);
    expect(machine.ran.filter((line) => line.includes('reset-failed'))).toEqual([
      'systemctl reset-failed -- cloudify-lease.service cloudify-consul.service',
    ]);
    expect(await tearDown()).toEqual([]);
  });

  test('removes our chains as often as they are hooked in, and our sets', async () => {
    let hooked = 2;
    machine.prints.set('ipset list -name', 'cloudify-lease\nmine\n');
    machine.failing = (line) => line === 'iptables -w 5 -D INPUT -j CLOUDIFY-IN' && hooked-- === 0;
    const steps = teardown();
    const rules = steps.find(({ what }) => what.includes('firewall'));
    expect(await rules?.needed()).toBe('cloudify-lease');
    await expect(rules?.act()).rejects.toThrow('still there: cloudify-lease');
    expect(machine.ran.filter((line) => line === 'iptables -w 5 -D INPUT -j CLOUDIFY-IN').length).toBe(3);
    expect(machine.ran).toContain('ipset destroy cloudify-lease');
    expect(machine.ran.join('\n')).not.toContain('destroy mine');
  });
});

test('teardown leaves no deadline of the lease: the next helper would find it passed, and stop the services', async () => {
  clustered('primary');
  machine.lay('/run/cloudify-lease/deadline', '100.00');
  await tearDown();
  expect(machine.look('/run/cloudify-lease/deadline')).toBeUndefined();
});

describe('uninstall', () => {
  const uninstall = (purge: boolean) => doSteps(uninstallSteps(config, machine, purge), () => {});

  test('refuses as long as a cluster counts on this machine, or has its units', () => {
    expect(() => refuseInCluster(config, machine)).not.toThrow();
    machine.lay(TAKEN, '{}');
    expect(() => refuseInCluster(config, machine)).toThrow("still has this manager's services");
    clustered('standby');
    expect(() => refuseInCluster(config, machine)).toThrow("this manager is 'm1' of a cluster");
  });

  test('keeps the configuration and what divergences left, and the user that owns them', async () => {
    machine.lay('/var/lib/cloudify/diverged/1/dump.sql', '', { owner: 'cfyuser' });
    await uninstall(false);
    expect(machine.look(CONFIG_FILE)).toBeDefined();
    expect(machine.look('/var/lib/cloudify/diverged/1/dump.sql')).toBeDefined();
    expect(machine.user('cfyuser')).toBeDefined();
    expect(machine.user('cfyuser_consul')).toBeUndefined();
    expect(machine.look('/opt/cloudify/agent')).toBeUndefined();
    expect(machine.look('/etc/sudoers.d/cloudify')).toBeUndefined();
  });

  test('with purge leaves nothing, also after one without', async () => {
    await uninstall(false);
    await uninstall(true);
    expect([...machine.paths.keys()]).toEqual(['/root/agent']);
    expect([...machine.users.keys()]).toEqual(['postgres']);
    expect([...machine.groups.keys()]).toEqual(['postgres']);
    expect(await uninstall(true)).toEqual([]);
  });

  test('leaves a user that was there before install', async () => {
    const old = new FakeMachine();
    old.lay('/root/agent', 'version 1');
    old.lay(CONFIG_FILE, yaml);
    old.groups.set('cfyuser', []);
    old.users.set('cfyuser', { group: 'cfyuser', home: '/etc/cloudify' });
    await install(old, { source: '/root/agent' }, () => {});
    await doSteps(uninstallSteps(config, old, true), () => {});
    expect([...old.users.keys()]).toEqual(['postgres', 'cfyuser']);
  });
});
