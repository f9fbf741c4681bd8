import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { AgentError } from '../errors.ts';
import { makeDir } from './files.ts';

/** What of the configuration is asked here; the platform is under it and does not know it. */
interface Places {
  readonly paths: Readonly<Record<'state_dir' | 'run_dir' | 'log_file' | 'diverged_dir', string>>;
}
interface PostgresHome {
  readonly postgres: { readonly bin_dir?: string | undefined; readonly data_dir: string };
}
interface Binary {
  readonly binary?: string | undefined;
}

/** The agent's own files, under `paths.state_dir` (kept) and `paths.run_dir` (of this boot). */
export function agentFiles(config: Places) {
  const { state_dir, run_dir, log_file } = config.paths;
  return {
    lockDir: state_dir,
    lockName: 'agent.lock',
    /** What this node voted for, its clone id, and so on: JSON files written durably. */
    state: (name: string) => join(state_dir, `${name}.json`),
    servicesRun: join(run_dir, 'services'),
    servicesLog: join(dirname(log_file), 'services'),
  };
}

/**
 * Where systemd listens for calls as root, one socket for each user that may call: its folder lets in that
 * user alone, and install makes it. No folder: nobody listens, and root is asked through sudo.
 */
export const ROOT_SOCKETS = {
  agent: '/run/cloudify-root-agent/call.sock',
  postgres: '/run/cloudify-root-postgres/call.sock',
} as const;

/** Makes the folders the agent writes in. May be repeated. Rejects with `folder_not_made` (operator). */
export function makeAgentDirs(config: Places): void {
  const { state_dir, run_dir, log_file, diverged_dir } = config.paths;
  const files = agentFiles(config);
  for (const dir of [
    state_dir,
    run_dir,
    dirname(log_file),
    diverged_dir,
    files.servicesRun,
    files.servicesLog,
  ]) {
    try {
      makeDir(dir);
    } catch (cause) {
      throw new AgentError({
        class: 'operator',
        code: 'folder_not_made',
        message: `cannot make the folder ${dir}`,
        hint: "run 'agent install' as root, or give the agent's user the folder above",
        cause,
      });
    }
  }
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Where PATH has this program. */
export function which(name: string): string | undefined {
  if (name.includes('/')) return isExecutable(name) ? name : undefined;
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((dir) => join(dir, name))
    .find(isExecutable);
}

/** Supported major versions, newest first. */
export const POSTGRES_VERSIONS = [18, 17, 16, 15, 14, 13] as const;

/** Where distributions install the server's programs of one version, which PATH does not name. */
const binDirsOf = (major: number) => [`/usr/lib/postgresql/${major}/bin`, `/usr/pgsql-${major}/bin`];

const installedBinDir = (majors: readonly number[]): string | undefined =>
  majors.flatMap(binDirsOf).find((dir) => isExecutable(join(dir, 'postgres')));

/** The major version that PG_VERSION says; undefined for a text that is none. */
export function majorIn(text: string | null): number | undefined {
  const major = Number.parseInt(text ?? '', 10);
  return Number.isNaN(major) ? undefined : major;
}

/** The major version of a data directory; undefined when there is none, or none that this user may see. */
export function dataVersion(dataDir: string): number | undefined {
  try {
    return majorIn(readFileSync(join(dataDir, 'PG_VERSION'), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * The folder of PostgreSQL's programs: as configured, else of the data directory's version, else the newest
 * installed, else the home of the `postgres` that PATH has. Undefined when there is none.
 */
export function postgresBinDir(config: PostgresHome): string | undefined {
  if (config.postgres.bin_dir !== undefined) return config.postgres.bin_dir;
  const wanted = dataVersion(config.postgres.data_dir);
  const installed = installedBinDir(wanted === undefined ? POSTGRES_VERSIONS : [wanted]);
  if (installed !== undefined) return installed;
  const found = which('postgres');
  return found === undefined ? undefined : dirname(realpathSync(found));
}

export const consulBinary = ({ consul }: { readonly consul: Binary }): string | undefined =>
  which(consul.binary ?? 'consul');

export const syncthingBinary = ({ files }: { readonly files: Binary }): string | undefined =>
  which(files.binary ?? 'syncthing');
