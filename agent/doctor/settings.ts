/**
 * Would PostgreSQL start with what agent.yaml and the manager's own files say? Its own program reads them;
 * nothing changes.
 */
import { accessSync, constants, lstatSync } from 'node:fs';
import process from 'node:process';
import type { Config } from '../config/resolve.ts';
import { accounts } from '../install/real_sight.ts';
import { isExecutable, postgresBinDir } from '../platform/paths.ts';
import type { RunAs } from '../roles/postgres/asked.ts';
import { originalConf } from '../roles/postgres/originals.ts';
import { rehearse } from '../roles/postgres/rehearse.ts';
import { serverOptions } from '../roles/postgres_helper/driver.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { ownSettings } from './own_settings.ts';

const TRIAL = 20_000;

/** Whom the server belongs to, where root asks; nobody: as this user. */
function serverUser(dataDir: string): RunAs | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const { users } = accounts();
  let owner: number | undefined;
  try {
    owner = lstatSync(dataDir).uid;
  } catch {
    // A manager that joins has none yet.
  }
  const found = users.find(({ uid, name }) => (owner === undefined ? name === 'postgres' : uid === owner));
  return found === undefined || found.uid === 0
    ? undefined
    : { user: found.name, uid: found.uid, gid: found.gid };
}

const readable = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * All that is to be said of settings, each fault once: what the server does not take of the manager's own,
 * both readers find.
 */
export async function settings(config: Config): Promise<Finding[]> {
  const [tried, own] = await Promise.all([serverSettings(config), ownSettings(config)]);
  const told = tried.some(({ state, own }) => state === 'fail' && own);
  return [
    ...tried.map(({ own: _, ...finding }) => finding),
    ...own.filter(({ id }) => !(told && id === 'postgres_settings')),
  ];
}

/**
 * Nothing where there is no server: that is said elsewhere. `own`: it is the manager's own settings that are
 * wrong.
 */
export async function serverSettings(config: Config): Promise<(Finding & { own?: true })[]> {
  const binDir = postgresBinDir(config);
  if (binDir === undefined || !isExecutable(`${binDir}/postgres`)) return [];
  const { node_name = 'n', host_ip = '127.0.0.1' } = config;
  const options = { ...serverOptions({ ...config, node_name, host_ip }), starter: undefined as never };
  const original = originalConf(options);
  if (original !== null && !readable(original)) {
    const what = `${original} cannot be read by this user: whether PostgreSQL takes it is not known`;
    return [warn('postgres_settings', what, 'run this as the user of PostgreSQL, or as root')];
  }
  const tried = await rehearse(options, TRIAL, serverUser(config.postgres.data_dir));
  if (tried.kind === 'failed' && tried.refused !== true) {
    const what = `whether PostgreSQL accepts its settings is not known: ${tried.why}`;
    return [warn('postgres_settings', what, 'run this again')];
  }
  if (tried.kind === 'done') return [ok('postgres_settings', 'PostgreSQL accepts its settings')];
  const mend = 'correct it there, or leave it out: the server would not start';
  return [{ ...fail('postgres_settings', tried.why, mend), ...(tried.own ? { own: true } : {}) }];
}
