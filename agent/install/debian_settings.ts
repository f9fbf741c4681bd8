/**
 * The distribution's settings for a database that it never heard of: a node that joined empty has data, and
 * nothing in /etc/postgresql that its unit could start it with. As Debian makes them for a new cluster, but
 * without pg_createcluster: where that fails halfway, it drops the cluster, and this data with it. Whatever
 * is there is left as it is.
 */
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import { AgentError } from '../errors.ts';
import { quoteLiteral } from '../roles/postgres/sql.ts';
import { POSTGRES_USER } from '../trampoline/names.ts';
import type { Machine, Sight } from './machine.ts';
import type { WantedFile } from './wanted.ts';

const ETC = '/etc/postgresql';
/**
 * Root's own, for as long as it takes: what lies in /etc/postgresql is written by its owner (PROTOCOL H.1).
 */
const STAGE = '/run/cloudify-settings';
const MAIN = 'postgresql.conf';

export interface Lacking {
  readonly version: string;
  readonly name: string;
  /** /etc/postgresql/15/main */
  readonly dir: string;
}

/** Undefined: nothing is lacking, or this is not where Debian keeps its data. */
export function settingsLacking(config: Config, sight: Pick<Sight, 'look'>): Lacking | undefined {
  const { data_dir, original_config: own } = config.postgres;
  // It has settings of its own elsewhere, and what starts it with them: a second way would start a second
  // server.
  if (own !== undefined && sight.look(own) !== undefined) return undefined;
  const [, version, name] = /^\/var\/lib\/postgresql\/(\d+)\/(\w[\w.-]*)$/.exec(data_dir) ?? [];
  if (version === undefined || name === undefined) return undefined;
  const dir = join(ETC, version, name);
  return sight.look(join(dir, MAIN)) === undefined ? { version, name, dir } : undefined;
}

/** The sample of this version, all of it comments, and below it what makes it this cluster's. */
export function mainConf(
  sample: string,
  { version, name, dir }: Lacking,
  data: string,
  port: number,
): string {
  const set: [string, string][] = [
    ['data_directory', quoteLiteral(data)],
    ['hba_file', quoteLiteral(join(dir, 'pg_hba.conf'))],
    ['ident_file', quoteLiteral(join(dir, 'pg_ident.conf'))],
    ['external_pid_file', quoteLiteral(`/var/run/postgresql/${version}-${name}.pid`)],
    ['port', String(port)],
    ['unix_socket_directories', quoteLiteral('/var/run/postgresql')],
    ['log_line_prefix', quoteLiteral('%m [%p] %q%u@%d ')],
    ['cluster_name', quoteLiteral(`${version}/${name}`)],
    ['include_dir', quoteLiteral('conf.d')],
  ];
  const lines = set.map(([key, value]) => `${key} = ${value}`);
  const why =
    "# Written by 'agent teardown', because this machine had none: what Debian sets for a cluster of its own.";
  return [sample.trimEnd(), '', why, ...lines, ''].join('\n');
}

const HBA = `# Written by 'agent teardown', because this machine had none: what Debian lets in.
# TYPE  DATABASE        USER            ADDRESS                 METHOD
local   all             ${POSTGRES_USER}                                peer
local   all             all                                     peer
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 scram-sha-256
local   replication     all                                     peer
host    replication     all             127.0.0.1/32            scram-sha-256
host    replication     all             ::1/128                 scram-sha-256
`;

/** What start.conf says decides whether postgresql.service starts it: this is the manager's database. */
const SMALL: Readonly<Record<string, string>> = {
  'start.conf': 'auto\n',
  'pg_ctl.conf': "pg_ctl_options = ''\n",
  environment: '',
};

/**
 * May be repeated; the file that says that it is done is written last. Resolves to the folder. Throws
 * `no_samples`.
 */
export async function writeSettings(config: Config, machine: Machine): Promise<string> {
  const lacking = settingsLacking(config, machine);
  if (lacking === undefined) return '';
  const { version, dir } = lacking;
  const samples = `/usr/share/postgresql/${version}`;
  const main = machine.read(join(samples, `${MAIN}.sample`));
  const ident = machine.read(join(samples, 'pg_ident.conf.sample'));
  if (main === undefined || ident === undefined)
    throw new AgentError({
      class: 'operator',
      code: 'no_samples',
      message: `cannot make ${dir}: ${samples} has no samples`,
      hint: `install postgresql-${version}, or copy ${dir} from another manager, and run this again`,
    });
  const folder = { kind: 'folder', owner: 'root', group: 'root', mode: 0o755 } as const;
  const file = (name: string, content: string, mode = 0o644): WantedFile => ({
    ...{ kind: 'file', path: join(STAGE, name), content, mode },
    ...{ owner: POSTGRES_USER, group: POSTGRES_USER },
  });
  const { data_dir, port } = config.postgres;
  const others = [
    ...Object.entries(SMALL).map(([name, text]) => file(name, text)),
    file('pg_hba.conf', HBA, 0o640),
    file('pg_ident.conf', ident, 0o640),
  ];
  await machine.remove(STAGE, true);
  try {
    await machine.make({ ...folder, path: STAGE });
    await machine.make({ ...folder, path: join(STAGE, 'conf.d') });
    for (const one of others) await machine.make(one);
    await machine.make(file(MAIN, mainConf(main, lacking, data_dir, port)));
    // The distribution's packages make it; what lies below is its owner's.
    if (machine.look(ETC) === undefined)
      await machine.make({ ...folder, path: ETC, owner: POSTGRES_USER, group: POSTGRES_USER });
    await copy(machine, dir, [...others.map(({ path }) => path), join(STAGE, 'conf.d')]);
  } finally {
    await machine.remove(STAGE, true);
  }
  // postgresql@VERSION-NAME.service exists from then on.
  await machine.run(['systemctl', 'daemon-reload']);
  return dir;
}

async function copy(machine: Machine, dir: string, others: readonly string[]): Promise<void> {
  const as = ['setpriv', `--reuid=${POSTGRES_USER}`, `--regid=${POSTGRES_USER}`, '--init-groups', '--'];
  const run = (...argv: string[]) => machine.run([...as, ...argv]);
  const unfinished = join(dir, `.${MAIN}.new`);
  await run('install', '-d', '-m', '755', '--', dir);
  await run('cp', '-rn', '--preserve=mode', '--', ...others, dir);
  await run('cp', '--preserve=mode', '--', join(STAGE, MAIN), unfinished);
  await run('mv', '-n', '--', unfinished, join(dir, MAIN));
}
