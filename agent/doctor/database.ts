import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/resolve.ts';
import { isExecutable, postgresBinDir } from '../platform/paths.ts';
import { type Control, readControl } from '../roles/postgres/control.ts';
import { preflight } from '../roles/postgres/preflight.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** Undefined: it cannot be read. */
async function controlData(config: Config): Promise<Control | undefined> {
  const binDir = postgresBinDir(config);
  if (binDir === undefined) return undefined;
  return await readControl({ binDir, dataDir: config.postgres.data_dir }).catch(() => undefined);
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

/** Is the program there that tells what is in pg_control? */
function canRead(config: Config): boolean {
  const bin = postgresBinDir(config);
  return bin !== undefined && isExecutable(join(bin, 'pg_controldata'));
}

/**
 * The data directory, if there is one that this user may read. Before start and join it is looked at as
 * `cluster start` looks at it; `member`: undefined where this user may not know it.
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
  // With the programs it is said already.
  if (before.some(({ id }) => id === 'postgres_data_version')) return [];
  const programs = before.some(({ id }) => id === 'postgres_programs') || !canRead(config);
  const found = before.filter(({ id }) => id !== 'postgres_programs');
  const control = await controlData(config);
  if (!control && (found.length > 0 || programs)) return found;
  if (!control) {
    const mend = 'run this as the user of PostgreSQL, or as root, to read it';
    return [warn('data_directory', `${dir} cannot be examined by this user`, mend)];
  }
  const findings = [ok('data_directory', `${dir}: ${control.state}`), ...found];
  const { walLogHints: hints, checksums } = control;
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
