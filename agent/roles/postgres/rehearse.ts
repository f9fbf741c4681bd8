/**
 * Would the server start with what is configured, and reload it? A wrong line keeps it down, or, while it
 * runs, keeps every later change out, the fence's too. So the server's own program reads all of it first, in
 * a folder made for it: nothing of the data is touched, and it does not matter whether a server runs.
 */
import {
  chmod,
  copyFile,
  lchown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  rmdir,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Deadline, deadline } from '../../platform/clock.ts';
import { dataVersion, majorIn } from '../../platform/paths.ts';
import { askServer, type RunAs } from './asked.ts';
import {
  clusterConf,
  initialSettings,
  mainConf,
  partAutoConf,
  renderClusterConf,
  renderMainConf,
} from './conf.ts';
import { lacksHugePages } from './huge_pages.ts';
import type { PgOptions } from './options.ts';
import { originalConf } from './originals.ts';
import type { Rehearsed } from './port.ts';
import { readText } from './read_text.ts';
import { attempt, DONE, failed } from './server.ts';

/** PostgreSQL's own; all else in a data directory is the manager's, and its settings may name it. */
const OWN =
  /^(base|global|current_logfiles|log|pg_.*|PG_VERSION|postmaster\..*|postgresql\.auto\.conf|.*\.signal|backup_.*|tablespace_map.*)$/;

/**
 * From this version on a value exists that is known only once libraries are loaded and settings held against
 * each other.
 */
const COMPUTED_SINCE = 15;

/**
 * Refused: what the server does not take, in which file and key. Failed alone: it could not be tried in `ms`.
 * Changes nothing.
 */
export async function rehearse(o: PgOptions, ms: number, as?: RunAs): Promise<Rehearsed> {
  const end = deadline(ms);
  return await attempt('trying the settings', async (): Promise<Rehearsed> => {
    const said = await tried(o, end, as);
    if (said === null) return DONE;
    const { why, own } = await blamed(o, said, end, as);
    return { ...failed(why), refused: true, ...(own ? { own } : {}) };
  });
}

type Blame = { why: string; own?: true };

async function blamed(o: PgOptions, said: string, end: Deadline, as: RunAs | undefined): Promise<Blame> {
  const parameters = o.parameters ?? {};
  const without = await tried({ ...o, parameters: {} }, end, as);
  if (without !== null)
    return {
      why: `${originalConf(o) ?? 'the settings'}: the server does not accept it: ${without}`,
      own: true,
    };
  const alone: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    const why = await tried({ ...o, parameters: { [name]: value } }, end, as);
    if (why !== null) alone.push(`${keyOf(name)}: the server does not accept '${value}': ${why}`);
  }
  // Each goes by itself: together they do not.
  const named = Object.keys(parameters).filter((name) => said.includes(name));
  const keys = (named.length > 0 ? named : Object.keys(parameters)).map(keyOf).join(', ');
  const what =
    alone.length > 0 ? alone.join('; ') : `${keys}: the server does not accept them together: ${said}`;
  return { why: `${o.parametersFile ?? 'agent.yaml'}: ${what}` };
}

const keyOf = (name: string): string =>
  name === 'max_connections' ? 'postgres.max_connections' : `postgres.parameters.${name}`;

/** What the server says against these settings; null: nothing. */
async function tried(o: PgOptions, end: Deadline, as: RunAs | undefined): Promise<string | null> {
  const dir = await mkdtemp(join(as === undefined ? tmpdir() : '/tmp', 'agent-rehearsal-'));
  try {
    const computed = await lay(o, dir, as);
    const question = {
      binDir: o.binDir,
      dataDir: join(dir, 'data'),
      configFile: mainConf({ confDir: dir }),
      // The cluster's certificates are made later.
      over: {
        data_directory: join(dir, 'data'),
        ...(o.replicationAuth === 'certificate' ? { ssl: 'off' } : {}),
      },
      as,
    };
    const ask = (name: string) => askServer({ ...question, name, ms: end.left() });
    const said = await ask(computed ? 'shared_memory_size' : 'port');
    if ('refused' in said) return elsewhere(said.refused, dir);
    const value = async (name: string) => {
      const its = await ask(name);
      return 'value' in its ? its.value : null;
    };
    return await lacksHugePages(o, value, computed ? said.value : null);
  } finally {
    await (as === undefined ? rm(dir, { recursive: true, force: true }) : takeBack(dir));
  }
}

/**
 * What was given away is root's again, the outer first, and then emptied name by name: root follows nobody's
 * links, and goes down into nothing that it did not make.
 */
async function takeBack(dir: string): Promise<void> {
  const data = join(dir, 'data');
  for (const folder of [data, join(data, 'global')]) await lchown(folder, 0, 0).catch(() => {});
  for (const folder of [join(data, 'global'), data, dir]) {
    if (
      !(await lstat(folder).then(
        (seen) => seen.isDirectory(),
        () => false,
      ))
    )
      continue;
    for (const name of await readdir(folder)) await unlink(join(folder, name)).catch(() => {});
    await rmdir(folder).catch(() => {});
  }
}

/** True: there is enough for the server to go as far as its memory. */
async function lay(o: PgOptions, dir: string, as: RunAs | undefined): Promise<boolean> {
  const trial = { ...o, confDir: dir };
  const data = join(dir, 'data');
  await writeFile(mainConf(trial), renderMainConf(trial, originalConf(o)), { mode: 0o640 });
  await writeFile(
    clusterConf(trial),
    renderClusterConf(trial, initialSettings(trial), dataVersion(o.dataDir) ?? null),
    { mode: 0o640 },
  );
  await mkdir(join(data, 'global'), { recursive: true, mode: 0o700 });
  const computed = await likeness(o, data).catch(() => false);
  if (as === undefined) return computed;
  // The inner first: what is given away is not written any more.
  const inner = await readdir(data);
  for (const path of ['global/pg_control', ...inner, ''].map((name) => join(data, name)))
    await lchown(path, as.uid, as.gid).catch(() => {});
  for (const path of [mainConf(trial), clusterConf(trial)]) {
    await lchown(path, 0, as.gid);
    await chmod(path, 0o640);
  }
  await lchown(dir, 0, as.gid);
  await chmod(dir, 0o750);
  return computed;
}

/** So much of the data directory as its server looks at before it makes its memory. */
async function likeness(o: PgOptions, data: string): Promise<boolean> {
  const auto = await readText(join(o.dataDir, 'postgresql.auto.conf'));
  await writeFile(join(data, 'postgresql.auto.conf'), auto === null ? '' : partAutoConf(auto, o).kept, {
    mode: 0o600,
  });
  const version = await readText(join(o.dataDir, 'PG_VERSION'));
  if (version === null) return false;
  await writeFile(join(data, 'PG_VERSION'), version, { mode: 0o600 });
  await copyFile(join(o.dataDir, 'global/pg_control'), join(data, 'global/pg_control'));
  for (const name of await readdir(o.dataDir))
    if (!OWN.test(name)) await symlink(join(o.dataDir, name), join(data, name));
  return (majorIn(version) ?? 0) >= COMPUTED_SINCE;
}

/** The server's words, without the folder that was made for this. */
function elsewhere(said: readonly string[], dir: string): string {
  const ours = new RegExp(` in file "${dir}/[^"]*" line \\d+`, 'g');
  return said.join('; ').replaceAll(ours, '');
}
