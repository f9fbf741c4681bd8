import { afterAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { type ConfigInput, folderConfig, makeConfig } from '../../agent/config/index.ts';
import { beforeInstall, notInstalled } from '../../agent/doctor/before.ts';
import { doctor, doctorFile, type Finding, healthy } from '../../agent/doctor/doctor.ts';
import { CONFIG_FILE } from '../../agent/install/names.ts';
import { acquireLock } from '../../agent/platform/lockfile.ts';
import { atLeast, versionOf } from '../../agent/platform/program_version.ts';

const dir = mkdtempSync(join(tmpdir(), 'doctor-'));
afterAll(() => rmSync(dir, { recursive: true }));

const node = { node_name: 'a', host_ip: '127.0.0.77' };
const configOf = (over: ConfigInput = {}) => makeConfig(folderConfig(dir, node, over));
const byId = (findings: Finding[]) => Object.fromEntries(findings.map((finding) => [finding.id, finding]));

/** A program that prints a version and does nothing else. */
const fake = (name: string, says: string): string => {
  const path = join(dir, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho '${says}'\n`);
  chmodSync(path, 0o755);
  return path;
};

describe('programs', () => {
  test('of this machine are found and run', async () => {
    const found = byId(await doctor(configOf()));
    expect(found.postgres_version).toMatchObject({
      state: 'ok',
      what: expect.stringMatching(/postgres is 1[3-8]\./),
    });
    expect(found.consul_version).toMatchObject({ state: 'ok' });
    expect(found.clock_source).toBeDefined();
  });

  test('too old or too new are refused, with what is needed', async () => {
    const bin = join(fake('old/postgres', 'postgres (PostgreSQL) 12.3'), '..');
    const binary = fake('consul', 'Consul v1.7.14');
    const found = byId(await doctor(configOf({ postgres: { bin_dir: bin }, consul: { binary } })));
    expect(found.postgres_version).toMatchObject({
      state: 'fail',
      what: expect.stringContaining('PostgreSQL 13 to 18 is needed'),
    });
    expect(found.postgres_programs?.what).toContain('pg_rewind');
    expect(found.consul_version).toMatchObject({
      state: 'fail',
      what: `${binary} is 1.7.14; Consul 1.8 or later is needed`,
    });
  });

  test('that are missing or broken are said to be so', async () => {
    const broken = fake('broken', 'x');
    writeFileSync(broken, '#!/bin/sh\nexit 1\n');
    expect(await versionOf(broken, [])).toBeUndefined();
    const found = byId(
      await doctor(configOf({ postgres: { bin_dir: join(dir, 'none') }, consul: { binary: broken } })),
    );
    expect(found.postgres_version).toMatchObject({
      state: 'fail',
      what: expect.stringContaining('does not run'),
    });
    expect(found.consul_version).toMatchObject({ state: 'fail' });
  });

  test('have their versions compared number by number', () => {
    expect([[1, 10], [1, 8], [2]].map((version) => atLeast(version, [1, 8]))).toEqual([true, true, true]);
    expect([[1, 7, 9], [0, 9], [1]].map((version) => atLeast(version, [1, 8]))).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('ports', () => {
  test('are free, taken by a stranger, or taken by this agent', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, node.host_ip, done));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const config = configOf({ api: { port } });
    expect(byId(await doctor(config)).port_api).toMatchObject({
      state: 'fail',
      mend: expect.stringContaining('api.port'),
    });
    const lock = acquireLock(config.paths.state_dir, 'agent.lock');
    expect(byId(await doctor(config)).port_api).toMatchObject({ state: 'ok' });
    lock.release();
    await new Promise((done) => server.close(done));
    expect(byId(await doctor(config)).port_api).toMatchObject({
      state: 'ok',
      what: `127.0.0.77:${port} is free`,
    });
  });

  test('of an address that is not here are a mistake in host_ip', async () => {
    const elsewhere = folderConfig(dir, { ...node, host_ip: '192.0.2.1' }, { api: { tls: true } });
    const found = byId(await doctor(makeConfig(elsewhere)));
    expect(found.port_api).toMatchObject({
      state: 'fail',
      what: '192.0.2.1 is not an address of this machine',
    });
  });

  test('of Consul: one that proves nothing is named where a token might go to it', async () => {
    const secured = { api: { tls: true } };
    const found = async (over: ConfigInput) => byId(await doctor(configOf(over)));
    expect(Object.keys(await found({}))).toContain('port_consul_http');
    const external = await found({ consul: { mode: 'external', token: 'hush' } });
    expect(external.consul_token_plain?.state).toBe('warn');
    expect(JSON.stringify(external)).not.toContain('hush');
    expect((await found({ consul: { mode: 'external' } })).consul_token_plain).toBeUndefined();

    const before = await found(secured);
    expect([before.port_consul_https?.state, before.port_consul_http, before.consul_plain_port]).toEqual([
      'ok',
      undefined,
      undefined,
    ]);
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, node.host_ip, done));
    const address = server.address();
    const http_port = typeof address === 'object' && address ? address.port : 0;
    const after = await found({ ...secured, consul: { http_port } });
    expect(after.consul_plain_port).toMatchObject({
      state: 'warn',
      what: expect.stringContaining(`127.0.0.77:${http_port}`),
    });
    await new Promise((done) => server.close(done));
  });

  test('wait until there is an address', async () => {
    expect(byId(await doctor(makeConfig({ driver: 'child' }))).host_ip).toMatchObject({ state: 'warn' });
  });
});

test('too little space fails, less than the WAL cap warns', async () => {
  const state = async (over: ConfigInput) => byId(await doctor(configOf(over))).disk_space?.state;
  expect(await state({ checks: { disk_free_min: '4000TB' } })).toBe('fail');
  expect(await state({ checks: { disk_free_min: 1 }, postgres: { wal_cap: '4000TB' } })).toBe('warn');
  expect(await state({ checks: { disk_free_min: 1 }, postgres: { wal_cap: 1 } })).toBe('ok');
});

test('a folder that cannot be made is named', async () => {
  writeFileSync(join(dir, 'a-file'), '');
  const found = byId(await doctor(configOf({ paths: { state_dir: join(dir, 'a-file', 'agent') } })));
  expect(found.folder_state).toMatchObject({
    state: 'fail',
    what: expect.stringContaining(`may not write in ${join(dir, 'a-file')}`),
  });
});

test('a watchdog that is configured must be there, and is never called right: nothing uses it', async () => {
  expect(byId(await doctor(configOf({ watchdog_device: '/dev/null' }))).watchdog).toMatchObject({
    state: 'warn',
    what: '/dev/null is there, but no version of the agent uses it yet',
  });
  expect(byId(await doctor(configOf({ watchdog_device: '/dev/no-watchdog' }))).watchdog).toMatchObject({
    state: 'fail',
  });
});

describe('a file', () => {
  test('with problems has each as a finding', async () => {
    const path = join(dir, 'agent.yaml');
    writeFileSync(path, 'api: {port: 0}\nlease: {renew_deadline: 9}\n');
    const findings = await doctorFile(path);
    expect(findings.map(({ id, state }) => `${id} ${state}`)).toEqual(['config fail', 'config fail']);
    expect(healthy(findings)).toBe(false);
  });

  test('that is right is looked at with the machine', async () => {
    const path = join(dir, 'right.yaml');
    writeFileSync(path, JSON.stringify(folderConfig(dir, node)));
    const findings = await doctorFile(path);
    expect(findings[0]).toMatchObject({ id: 'config', state: 'ok' });
    expect(findings.length).toBeGreaterThan(8);
  });
});

describe('before install', () => {
  test('the machine is looked at, each lack with its mend, and what is to be done comes last', async () => {
    const findings = await beforeInstall();
    const ids = findings.map(({ id }) => id);
    const order = ['systemd', 'postgres_version', 'consul_version', 'program_sudo', 'data_directory'];
    expect(ids.filter((id) => order.includes(id))).toEqual(order);
    expect(ids.at(-1)).toBe('installed');
    expect(findings.at(-1)).toMatchObject({
      state: 'fail',
      mend: expect.stringContaining("run 'agent install' as root"),
    });
    expect(findings.filter(({ state, mend }) => state !== 'ok' && mend === '')).toEqual([]);
    // What install makes is no lack of the machine.
    expect(ids.filter((id) => id.startsWith('folder_') || id.startsWith('install_'))).toEqual([]);
  });

  test("is when the machine's own configuration is not there, and not when a given one is not", async () => {
    expect(notInstalled(join(dir, 'none.yaml'))).toBe(false);
    expect(notInstalled(CONFIG_FILE)).toBe(!existsSync(CONFIG_FILE));
    expect((await doctorFile(join(dir, 'none.yaml'))).map(({ id }) => id)).toEqual(['config']);
  });

  // A machine that has one is not looked at as one that has none.
  test.skipIf(existsSync(CONFIG_FILE))(
    'the command says it, and ends with 1, also without any program',
    () => {
      const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
      const { AGENT_CONFIG: _, ...env } = process.env;
      const ran = spawnSync(process.execPath, [main, 'doctor'], {
        encoding: 'utf8',
        env: { ...env, PATH: join(dir, 'none') },
      });
      expect([ran.status, ran.stderr]).toEqual([1, '']);
      expect(ran.stdout).toContain('FAIL  consul_version: Consul 1.8 or later is not installed');
      expect(ran.stdout).toContain('FAIL  installed: this manager is not prepared');
      expect(ran.stdout).not.toMatch(/could not check|^\s+at /m);
    },
  );
});
