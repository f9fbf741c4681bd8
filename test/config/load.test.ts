import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConfigError,
  type ConfigInput,
  checkConfig,
  folderConfig,
  loadConfig,
  makeConfig,
  parseConfig,
  requireNode,
} from '../../agent/config/index.ts';

const problems = (input: unknown): string[] => {
  const result = checkConfig(input);
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
};

describe('an empty file', () => {
  test('gives the defaults of a real manager', () => {
    const config = parseConfig('');
    expect(config.paths).toMatchObject({
      executable: '/opt/cloudify/agent',
      state_dir: '/var/lib/cloudify/agent',
      diverged_dir: '/var/lib/cloudify/diverged',
      socket: '/run/cloudify/agent.sock',
      log_file: '/var/log/cloudify-cluster/cloudify-cluster.log',
      ssl_dir: '/etc/cloudify/cluster-ssl',
    });
    expect([config.user, config.group, config.driver, config.consul.mode]).toEqual([
      'cfyuser',
      'cluster',
      'systemd',
      'systemd',
    ]);
    expect([config.api.port, config.consul.http_port, config.consul.https_port]).toEqual([8700, 8500, 8501]);
    expect(config.postgres.primary_start_timeout).toBe(5000);
    expect(config.synchronous_mode).toBe('quorum');
    expect(config.allow_minority_mode).toBe(false);
    expect(config.files.enabled).toBe(false);
    expect(config.checks.clock_max_offset).toBe(500);
  });

  test('the limit of the clock is a duration above zero, and its check has settings of its own', () => {
    const { checks } = parseConfig('checks:\n  clock_max_offset: 2s\n  each:\n    clock:\n      every: 60\n');
    expect([checks.clock_max_offset, checks.each.clock.every, checks.each.clock.critical]).toEqual([
      2000,
      60_000,
      false,
    ]);
    expect(problems({ checks: { clock_max_offset: 0 } })).toEqual([
      'checks.clock_max_offset: must be longer than 0; it is 0',
    ]);
  });

  test('equals one whose sections are all there but empty', () => {
    expect(parseConfig('lease:\npaths:\nchecks:\n  each:\n    disk:\nservices:\n')).toEqual(parseConfig(''));
  });

  test('cannot be changed by who reads it', () => {
    const config = makeConfig() as { lease: { renew_deadline: number } };
    expect(() => {
      config.lease.renew_deadline = 1;
    }).toThrow();
  });
});

describe('units', () => {
  test('durations become milliseconds: numbers are seconds, texts carry their unit', () => {
    const at = (value: number | string) => makeConfig({ hooks: { timeout: value } }).hooks.timeout;
    expect([at(4), at(0.5), at('500ms'), at('4s'), at('10min'), at('2h'), at('1d')]).toEqual([
      4000, 500, 500, 4000, 600_000, 7_200_000, 86_400_000,
    ]);
  });

  test('sizes become bytes in powers of 1024', () => {
    const at = (value: number | string) => makeConfig({ postgres: { wal_cap: value } }).postgres.wal_cap;
    expect([at(4096), at('16MB'), at('1GB')]).toEqual([4096, 16_777_216, 1_073_741_824]);
  });

  test('neither takes nonsense', () => {
    expect(problems({ hooks: { timeout: '4 parsecs' }, postgres: { wal_cap: -1 } })).toEqual([
      "postgres.wal_cap: must be a number of bytes or a text with a unit, like '16MB' or '10GB'; it is -1",
      "hooks.timeout: must be a number of seconds or a text with a unit, like '500ms', '4s' or '10min'; it is '4 parsecs'",
    ]);
    expect(problems({ hooks: { timeout: 0 } })).toHaveLength(1);
  });
});

describe('what is wrong', () => {
  test('is reported all at once, with paths and what would be right', () => {
    expect(
      problems({
        nodename: 'a',
        host_ip: 'here',
        lease: { renew_deadlin: 3, whatever: 1 },
        postgres: { port: 99_999, parameters: { fsync: 'off' } },
        services: [{ name: 'web', unit: 'web' }],
        paths: [],
      }),
    ).toEqual([
      "host_ip: must be an IP address, like 10.0.0.11; it is 'here'",
      'paths: must be a section of keys and values',
      "lease.renew_deadlin: unknown key; did you mean 'renew_deadline'?",
      'lease.whatever: unknown key; known here: preset, retry_period, renew_deadline, lease_duration, fencing_time',
      'postgres.port: must be a whole number from 1 to 65535; it is 99999',
      "services.0.unit: must be a unit name that ends in .service; it is 'web'",
      "nodename: unknown key; did you mean 'node_name'?",
      "postgres.parameters.fsync: must be left out: the agent sets it, because the cluster's guarantees depend on it",
    ]);
  });

  test('never quotes a secret', () => {
    expect(problems({ consul: { token: 'two\nlines' } })).toEqual(['consul.token: must be one line']);
  });

  test('is said of YAML that cannot be read, with its line', () => {
    expect(() => parseConfig('a: 1\na: 2\n')).toThrow(/Map keys must be unique.*line 2/);
    expect(() => parseConfig('just text')).toThrow(/must be a section/);
  });

  test.each([
    [
      'services need a command when they are children',
      { driver: 'child', services: [{ name: 'a' }] },
      'services.0.command',
    ],
    ['services need a unit under systemd', { services: [{ name: 'a', command: ['x'] }] }, 'services.0.unit'],
    [
      'services have names of their own',
      {
        services: [
          { name: 'a', unit: 'a.service' },
          { name: 'a', unit: 'b.service' },
        ],
      },
      'services.1.name',
    ],
    ['sockets have short paths', { paths: { run_dir: `/${'x'.repeat(100)}` } }, 'paths.run_dir'],
    [
      'PostgreSQL has a short socket path',
      { postgres: { socket_dir: `/${'x'.repeat(100)}` } },
      'postgres.socket_dir',
    ],
    ['ports differ', { api: { port: 5432 } }, 'postgres.port'],
    ['minority mode is refused while there is none', { allow_minority_mode: true }, 'allow_minority_mode'],
    [
      'strict replication excludes minority mode',
      { synchronous_mode: 'strict', allow_minority_mode: true },
      'allow_minority_mode',
    ],
    [
      'a check outlives its period',
      { checks: { each: { disk: { every: 60, ttl: 60 } } } },
      'checks.each.disk.ttl',
    ],
    [
      'folders have ids of their own',
      {
        files: {
          folders: [
            { id: 'a', path: '/a' },
            { id: 'a', path: '/b' },
          ],
        },
      },
      'files.folders.1.id',
    ],
  ] satisfies [string, ConfigInput, string][])('%s', (_name, input, path) => {
    expect(problems(input).map((line) => line.split(':')[0])).toEqual([path]);
  });
});

describe('a file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'config-'));
  const path = join(dir, 'agent.yaml');

  test('gives what it holds as written, and its own path', () => {
    writeFileSync(path, 'node_name: m1\nhost_ip: 10.0.0.11\nlease: {preset: fast}\n');
    const { input, config } = loadConfig(path);
    expect(input.lease).toEqual({ preset: 'fast' });
    expect(config.paths.config).toBe(path);
    expect(requireNode(config)).toMatchObject({ node_name: 'm1', host_ip: '10.0.0.11' });
  });

  test('that is wrong is named in the error', () => {
    writeFileSync(path, 'lease: {retry_period: 3}\n');
    expect(() => loadConfig(path)).toThrow(ConfigError);
    expect(() => loadConfig(path)).toThrow(
      `${path}: one problem\n  lease.renew_deadline: must be at least twice`,
    );
    rmSync(dir, { recursive: true });
  });

  test('that is missing is an operator error with a hint', () => {
    expect(() => loadConfig('/no/such/file')).toThrow(
      expect.objectContaining({ code: 'config_unreadable', class: 'operator' }),
    );
  });
});

test('a node in a folder keeps everything in it', () => {
  const config = makeConfig(
    folderConfig('/tmp/x', { node_name: 'a', host_ip: '127.0.0.11' }, { lease: { preset: 'fast' } }),
  );
  const places = [
    ...Object.entries(config.paths),
    ['data', config.postgres.data_dir],
    ['consul', config.consul.data_dir],
  ];
  expect(places.filter(([key, path]) => key !== 'executable' && !path?.startsWith('/tmp/x/'))).toEqual([]);
  expect([config.consul.mode, config.lease.preset, config.api.tls]).toEqual(['child', 'fast', false]);
});

test('a node without a name is told what to set', () => {
  expect(() => requireNode(makeConfig({ node_name: 'a' }))).toThrow(
    'host_ip not set in /etc/cloudify/agent.yaml',
  );
});

test('without TLS only on loopback: elsewhere whoever reaches the port would be believed', () => {
  for (const host_ip of ['127.0.0.11', '::1'])
    expect(() => makeConfig({ host_ip, api: { tls: false } })).not.toThrow();
  expect(() => makeConfig({ api: { tls: false } })).not.toThrow();
  for (const host_ip of ['10.0.0.11', '2001:db8::1'])
    expect(() => makeConfig({ host_ip, api: { tls: false } })).toThrow('must be left on');
});

test('the replication role is another than the superuser, whose every right it would have', () => {
  expect(() => makeConfig({ postgres: { replication_user: 'postgres' } })).toThrow('must differ from');
  expect(() => makeConfig({ postgres: { superuser: 'pg', replication_user: 'postgres' } })).not.toThrow();
});
