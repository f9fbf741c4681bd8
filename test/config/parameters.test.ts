/** `postgres.parameters`: names, values, what is reserved; and values that stand as they are written. */
import { describe, expect, test } from 'bun:test';
import {
  ConfigError,
  makeConfig,
  parseConfig,
  parseOptions,
  RAISED_PARAMETERS,
  RESERVED_PARAMETERS,
} from '../../agent/config/index.ts';
import { initialSettings, renderClusterConf } from '../../agent/roles/postgres/conf.ts';
import { type PgOptions, pgDefaults } from '../../agent/roles/postgres/options.ts';

/** The messages about these parameters, without their path. */
function told(parameters: Record<string, string | number | boolean>): string[] {
  try {
    makeConfig({ postgres: { parameters } });
    return [];
  } catch (thrown) {
    return (thrown as ConfigError).problems.map(({ path, message }) => {
      expect(path).toStartWith('postgres.parameters.');
      return message;
    });
  }
}

const options: PgOptions = {
  ...pgDefaults,
  node: 'a',
  binDir: '/b',
  dataDir: '/d',
  confDir: '/c',
  socketDir: '/s',
  host: '127.0.0.1',
  port: 1,
  divergedDir: '/v',
  starter: {} as never,
};

describe('refused, because it is the agent’s to set', () => {
  test('is everything that it sets, but for what may be set higher', () => {
    const tls = { id: 'x', members: [] };
    const text = renderClusterConf(options, { ...initialSettings(options), tls });
    const set = text.split('\n').flatMap((line) => /^([\w.]+) = /.exec(line)?.[1] ?? []);
    expect(set.length).toBeGreaterThan(40);
    // Not here: add it to RESERVED_PARAMETERS or RAISED_PARAMETERS.
    expect(set.filter((name) => told({ [name]: '0' }).length === 0)).toEqual([]);
    // And what may be higher has at least what the agent sets.
    for (const [name, { least, unit = '' }] of Object.entries(RAISED_PARAMETERS))
      expect(text).toContain(`\n${name} = '${least}${unit}'\n`);
  });

  test.each([
    ...RESERVED_PARAMETERS,
    ...[
      'ssl',
      'ssl_ca_file',
      'ssl_renegotiation_limit',
      'agent.fenced',
      'include',
      'include_dir',
      'include_if_exists',
    ],
  ])('%s, however it is written', (name) => {
    for (const written of [name, name.toUpperCase(), `${name} `, ` ${name}\t`])
      expect(told({ [written]: 'off' })[0]).toStartWith('must be left out: the agent sets it');
  });

  test('with the key that stands for it', () => {
    expect(told({ port: 5433 })).toEqual([expect.stringContaining('postgres.port is the key for it')]);
    expect(told({ max_connections: 5 })).toEqual([
      'must be left out: postgres.max_connections is the key for it',
    ]);
  });
});

describe('a name', () => {
  test.each(['foo bar', 'a-b', '', '1a', 'a.b.c', 'a=b', "a'b", '# a', 'a\nfsync', 'ä', 'auto_explain.'])(
    'is not %j',
    (name) => {
      expect(told({ [name]: 1 })).toEqual([expect.stringContaining('is not the name of a setting')]);
    },
  );

  test.each(['work_mem', 'Work_Mem', 'auto_explain.log_min_duration', '_a$1'])('may be %s', (name) => {
    expect(told({ [name]: 1 })).toEqual([]);
  });

  test('stands there once, in whatever case', () => {
    expect(told({ work_mem: 1, WORK_MEM: 2 })).toEqual(["must be left out: 'work_mem' is the same setting"]);
  });
});

describe('a value', () => {
  test.each(['4MB\n', 'a\nfsync = off', 'a\r', 'a\0b'])('is one line, not %j', (value) => {
    expect(told({ application_name: value })).toEqual(['must be one line: it has a line end']);
    expect(() => parseConfig('postgres: { parameters: { work_mem: "4MB\\n" } }')).toThrow(
      /work_mem: must be one line/,
    );
    expect(() => parseConfig('postgres:\n  parameters:\n    work_mem: |\n      4MB\n')).toThrow(
      /must be one line/,
    );
  });

  test.each([
    ['max_wal_senders', '1'],
    ['max_wal_senders', '19'],
    ['max_wal_senders', '-1'],
    ['max_wal_senders', '30MB'],
    ['max_wal_senders', 'many'],
    ['MAX_REPLICATION_SLOTS', '0'],
    ['superuser_reserved_connections', '3'],
    ['wal_keep_size', '127'],
    ['wal_keep_size', '1024kB'],
    ['wal_keep_size', '0GB'],
  ])('%s is not below what the cluster needs: %s', (name, value) => {
    expect(told({ [name]: value })).toEqual([
      expect.stringMatching(/^must be a whole number of at least \d+/),
    ]);
  });

  test.each([
    ['max_wal_senders', '20'],
    ['max_replication_slots', ' 40 '],
    ['wal_keep_size', '1GB'],
    ['wal_keep_size', '131072kB'],
    ['wal_keep_size', '4096'],
  ])('%s may be %s', (name, value) => {
    expect(told({ [name]: value })).toEqual([]);
  });
});

describe('a text stands as it is written, where YAML would read a number', () => {
  const text = `
manager: { version: 4.10, build: 007 }
postgres:
  parameters:
    log_file_mode: 0640
    work_mem: 1e3
    vacuum_cost_delay: &delay 2.0
    autovacuum_vacuum_cost_delay: *delay
    jit: false
    big: 12345678901234567890
    quoted: "010"
services:
  - { name: a, unit: a.service, env: { MODE: 0700, X: 1.50 } }
`;
  const parameters = {
    log_file_mode: '0640',
    work_mem: '1e3',
    vacuum_cost_delay: '2.0',
    autovacuum_vacuum_cost_delay: '2.0',
    jit: 'false',
    big: '12345678901234567890',
    quoted: '010',
  };

  test('in the file', () => {
    const config = parseConfig(text);
    expect(config.postgres.parameters).toEqual(parameters);
    expect([config.manager.version, config.manager.build]).toEqual(['4.10', '007']);
    expect(config.services[0]?.env).toEqual({ MODE: '0700', X: '1.50' });
  });

  test('in options, however they are given', () => {
    const given = [
      'manager.version=4.6;postgres.parameters.log_file_mode=0640',
      '{"manager.build": 1.50, "postgres": {"parameters": {"vacuum_cost_delay": 2.0, "auto_explain.log_min_duration": 10.0}}}',
    ];
    const config = makeConfig(parseOptions(given));
    expect(config.manager).toMatchObject({ version: '4.6', build: '1.50' });
    expect(config.postgres.parameters).toEqual({
      log_file_mode: '0640',
      vacuum_cost_delay: '2.0',
      'auto_explain.log_min_duration': '10.0',
    });
  });

  test('and numbers stay numbers where numbers are meant', () => {
    const config = parseConfig('postgres: { port: 5433 }');
    expect(config.postgres.port).toBe(5433);
    expect(parseOptions('postgres.port=5433;files.enabled=true') as unknown).toEqual({
      postgres: { port: 5433 },
      files: { enabled: true },
    });
  });
});

describe('what cannot be read is said in plain words', () => {
  test.each([
    ['x=%t', "option 'x': its value %t cannot be read"],
    ['x=*a', "option 'x': its value *a cannot be read: '*a' refers to an anchor '&a', and there is none"],
    ['a=1;x=[1,', "option 'x': its value [1, cannot be read"],
    ['x={a: 1, a: 2}', "option 'x': its value {a: 1, a: 2} cannot be read"],
    ["x='a", "option 'x': its value 'a cannot be read"],
    ['x=@b', "option 'x': its value @b cannot be read"],
    ['x=`b', "option 'x': its value `b cannot be read"],
  ])('of the option %s', (option, message) => {
    expect(() => parseOptions(option)).toThrow(
      expect.objectContaining({
        class: 'usage',
        message: expect.stringContaining(message),
        hint: expect.stringContaining("x='...'"),
      }),
    );
  });

  test.each(['a: *b\n', '%t\n', 'a: 1\n---\nb: 2\n', 'a: [*c]\n', '- &a [x]\n- *b\n'])(
    'of the file %j',
    (text) => {
      expect(() => parseConfig(text)).toThrow(ConfigError);
    },
  );

  test('and what grows without end is not grown', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(() => parseConfig(lines.join('\n'))).toThrow(ConfigError);
  });
});
