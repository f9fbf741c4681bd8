import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/resolve.ts';
import { postgresBinDir } from '../platform/paths.ts';
import { run } from '../platform/process.ts';
import { preflight } from '../roles/postgres/preflight.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** `pg_controldata` as a map; undefined if it cannot be read. */
async function controlData(config: Config): Promise<Map<string, string> | undefined> {
  const bin = postgresBinDir(config);
  if (bin === undefined) return undefined;
  const result = await run(join(bin, 'pg_controldata'), ['-D', config.postgres.data_dir], {
    deadline: 5000,
    env: { LC_ALL: 'C' },
  }).catch(() => undefined);
  if (result?.code !== 0) return undefined;
  return new Map(
    result.stdout.split('\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()] as const];
    }),
  );
}

/** What start refuses, and what it goes on with. */
async function fitness({ driver, postgres }: Config): Promise<Finding[]> {
  const binDir = postgresBinDir({ postgres });
  if (binDir === undefined) return [];
  const { data_dir: dataDir, superuser, database } = postgres;
  const underSystemd = driver === 'systemd';
  const found = await preflight({ binDir, dataDir, superuser, database, underSystemd });
  // On a VM the server's user is not the one who looks.
  return found.filter(({ id }) => !(underSystemd && id === 'data_owner'));
}

/**
 * The data directory, if there is one that this user may read. Before start and join it is looked at as `cluster start` looks at it;
 * `member`: undefined where this user may not know it.
 */
export async function database(config: Config, member: boolean | undefined = false): Promise<Finding[]> {
  const dir = config.postgres.data_dir;
  if (!existsSync(dir)) {
    return config.driver === 'child'
      ? [ok('data_directory', `${dir} is not there yet`)]
      : [
          fail(
            'data_directory',
            `there is no ${dir}`,
            "set postgres.data_dir to the manager's data directory",
          ),
        ];
  }
  const before = member === false ? await fitness(config) : [];
  // With the programs' versions it is said already.
  if (before.some(({ id }) => id === 'postgres_data_version')) return [];
  const control = await controlData(config);
  if (!control && before.length > 0) return before;
  if (!control) {
    const mend = 'run this as the user of PostgreSQL, or as root, to look into it';
    return [warn('data_directory', `${dir} cannot be examined by this user`, mend)];
  }
  const findings = [
    ok('data_directory', `${dir}: ${control.get('Database cluster state') ?? 'state unknown'}`),
    ...before,
  ];
  const hints = control.get('wal_log_hints setting') === 'on';
  const checksums = (control.get('Data page checksum version') ?? '0') !== '0';
  if (hints || checksums) {
    findings.push(
      ok(
        'rewind_possible',
        `${checksums ? 'data checksums' : 'wal_log_hints'} on: a former active can be rewound`,
      ),
    );
  } else {
    const what = 'neither data checksums nor wal_log_hints: a former active would need a whole new clone';
    const mend =
      "nothing before 'agent cluster start', which turns wal_log_hints on; that needs one restart of PostgreSQL";
    findings.push(warn('rewind_possible', what, mend));
  }
  return findings;
}
