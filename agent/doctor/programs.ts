import { join } from 'node:path';
import type { Config } from '../config/resolve.ts';
import {
  consulBinary,
  dataVersion,
  isExecutable,
  POSTGRES_VERSIONS,
  postgresBinDir,
  syncthingBinary,
  which,
} from '../platform/paths.ts';
import { atLeast, versionOf } from '../platform/program_version.ts';
import { type Finding, fail, ok } from './finding.ts';

async function checked(
  id: string,
  binary: string | undefined,
  args: readonly string[],
  fits: (version: readonly number[]) => boolean,
  need: string,
): Promise<Finding> {
  const mend = `install ${need}, or set its path in agent.yaml`;
  if (binary === undefined) return fail(id, `${need} is not installed`, mend);
  const version = await versionOf(binary, args);
  if (!version) return fail(id, `${binary} does not run`, mend);
  const what = `${binary} is ${version.join('.')}`;
  return fits(version) ? ok(id, what) : fail(id, `${what}; ${need} is needed`, mend);
}

/** What the agent calls, beside the server itself. */
const POSTGRES_PROGRAMS = ['pg_controldata', 'pg_basebackup', 'pg_rewind', 'pg_dumpall', 'pg_waldump'];

async function postgres(config: Config): Promise<Finding[]> {
  const [newest, oldest] = [Math.max(...POSTGRES_VERSIONS), Math.min(...POSTGRES_VERSIONS)];
  const need = `PostgreSQL ${oldest} to ${newest}`;
  const dir = postgresBinDir(config);
  const server = dir === undefined ? undefined : join(dir, 'postgres');
  const fits = (version: readonly number[]) =>
    (POSTGRES_VERSIONS as readonly number[]).includes(version[0] ?? 0);
  const findings = [await checked('postgres_version', server, ['--version'], fits, need)];
  if (dir === undefined) return findings;
  const missing = POSTGRES_PROGRAMS.filter((name) => !isExecutable(join(dir, name)));
  if (missing.length > 0) {
    findings.push(
      fail(
        'postgres_programs',
        `${dir} lacks ${missing.join(', ')}`,
        "install the distribution's full server package",
      ),
    );
  }
  const data = dataVersion(config.postgres.data_dir);
  const version = server === undefined ? undefined : await versionOf(server, ['--version']);
  if (data !== undefined && version && version[0] !== data) {
    findings.push(
      fail(
        'postgres_data_version',
        `the data directory is of version ${data}, the server of ${version[0]}`,
        `install PostgreSQL ${data}, or set postgres.bin_dir to it`,
      ),
    );
  }
  return findings;
}

const SYSTEM_PROGRAMS: readonly (readonly [string, string])[] = [
  ['systemctl', 'systemd'],
  ['sudo', 'sudo'],
  ['iptables-restore', 'iptables'],
  ['ip6tables-restore', 'iptables'],
  ['ipset', 'ipset'],
  ['ss', 'iproute2'],
  ['setpriv', 'util-linux'],
  ['systemd-notify', 'systemd'],
];

/** On VMs; /usr/sbin is not in every user's PATH. */
function system(config: Config): Finding[] {
  if (config.driver !== 'systemd') return [];
  return SYSTEM_PROGRAMS.map(([name, source]) => {
    const found = which(name) ?? [`/usr/sbin/${name}`, `/sbin/${name}`].find(isExecutable);
    return found
      ? ok(`program_${name}`, `${name} is ${found}`)
      : fail(`program_${name}`, `${name} is not installed`, `install the package ${source}`);
  });
}

/** Are the programs there, in versions that do? */
export async function programs(config: Config): Promise<Finding[]> {
  const consul =
    config.consul.mode === 'external'
      ? []
      : [
          checked(
            'consul_version',
            consulBinary(config),
            ['version'],
            (v) => atLeast(v, [1, 8]),
            'Consul 1.8 or later',
          ),
        ];
  const syncthing = config.files.enabled
    ? [
        checked(
          'syncthing_version',
          syncthingBinary(config),
          ['--version'],
          (v) => atLeast(v, [1, 19]),
          'Syncthing 1.19 or later',
        ),
      ]
    : [];
  const [database, ...others] = await Promise.all([postgres(config), ...consul, ...syncthing]);
  return [...database, ...others, ...system(config)];
}
