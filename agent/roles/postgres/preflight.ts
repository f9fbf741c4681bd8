/**
 * What a database must be like before it founds a cluster: looked at, with nothing changed, by `agent doctor`
 * and by `cluster start` alike. A finding that fails says what, where, and the mend.
 */

import { existsSync, lstatSync, statSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { messageOf } from '../../errors.ts';
import { errno } from '../../platform/files.ts';
import { type Finding, fail, ok, warn } from '../../platform/finding.ts';
import { POSTGRES_VERSIONS } from '../../platform/paths.ts';
import { run } from '../../platform/process.ts';
import { type Control, readControl } from './control.ts';
import type { PgOptions } from './options.ts';
import { resolved, whyNeverCopied } from './place.ts';
import { majorOf } from './read_text.ts';
import { runningServer, serverFindings, startedBy } from './running_server.ts';
import { oddEntries, ownFolder, spacesOf } from './tablespaces.ts';

export type Place = Pick<PgOptions, 'binDir' | 'dataDir' | 'superuser' | 'database' | 'underSystemd'>;

const RECOVER = "start it with the manager's own unit, let recovery finish, and run this again";

/**
 * Never throws: what could not be looked at is a finding. An empty directory is right for a manager that
 * joins.
 */
export async function preflight(o: Place): Promise<Finding[]> {
  try {
    const files = await dataFindings(o);
    if (files.unreadable) return files.findings;
    const server = await runningServer(o.dataDir);
    if (server === null) return [...files.findings, ...restingState(o, files.control)];
    const asked = await serverFindings(o, server);
    const told = asked.some(({ id }) => id === 'server_role');
    const role = told ? [] : silentRole(o, files.control);
    return [...files.findings, ...startedBy(o, server), ...role, ...asked];
  } catch (thrown) {
    const mend = 'run this as root, or as the user of PostgreSQL; nothing was changed';
    return [fail('preflight', `${o.dataDir} could not be examined: ${String(thrown)}`, mend)];
  }
}

export type DataFindings = { findings: Finding[]; control: Control | null; unreadable: boolean };

/** The data directory, running or not. `unreadable`: nothing more can be said of it. */
export async function dataFindings(o: Place): Promise<DataFindings> {
  const { dataDir } = o;
  const only = (finding: Finding): DataFindings => ({ findings: [finding], control: null, unreadable: true });
  let entries: string[];
  try {
    entries = await readdir(dataDir);
  } catch (thrown) {
    if (errno(thrown) === 'ENOENT') return only(ok('data_directory', `${dataDir} does not exist yet`));
    const mend = 'run this as the user of PostgreSQL, or as root, to look into it';
    return only(warn('data_directory', `${dataDir} cannot be examined by this user`, mend));
  }
  if (entries.length === 0) return only(ok('data_directory', `${dataDir} is empty`));
  const version = await versionFinding(o);
  if (version !== null) return only(version);

  const owner = (await stat(dataDir)).uid;
  const self = process.getuid?.();
  const findings = markFindings(o);
  if (self !== 0 && owner !== self) {
    const what = `${dataDir} belongs to user ${owner}, not to ${self}`;
    findings.push(fail('data_owner', what, 'run this as its owner'));
  }
  findings.push(...spaceFindings(o, owner));
  const place = whyNeverCopied(dataDir);
  if (place !== undefined)
    findings.push(fail('data_place', place, 'move the database into a folder of its own there'));
  try {
    return { findings, control: await readControl(o), unreadable: false };
  } catch (thrown) {
    return { findings: [...findings, notRead(o, thrown)], control: null, unreadable: false };
  }
}

/** A program that is not there, or takes too long, says nothing of the data. */
function notRead({ dataDir, binDir }: Place, thrown: unknown): Finding {
  const code = errno(thrown);
  const path = join(dataDir, 'global/pg_control');
  if (code === 'command_not_started') return missing(binDir, 'pg_controldata', path);
  const what = `${path} cannot be read: ${messageOf(thrown)}`;
  if (code === 'command_too_slow' || code === 'command_killed')
    return fail('control_file', what, 'find out what keeps this machine so busy, and run this again');
  return fail('control_file', what, 'the data is damaged: restore it from a backup first');
}

/** `tells`: what is not known without it. */
function missing(binDir: string, program: string, tells: string): Finding {
  const path = join(binDir, program);
  const what = existsSync(path) ? `${path} cannot be run` : `there is no program ${path}`;
  const mend = `install the full server package of PostgreSQL that has it, or set postgres.bin_dir in agent.yaml to the folder where it is`;
  return fail('postgres_programs', `${what}, and only it can tell ${tells}`, mend);
}

/** Folders that the server's unit hides or makes read-only, unless the data itself lies there. */
const SHUT = ['/home', '/root', '/run/user', '/tmp', '/var/tmp', '/usr', '/boot', '/etc'];

/** Tablespaces: each manager has them in the same places. */
function spaceFindings({ dataDir, underSystemd }: Place, owner: number): Finding[] {
  const bad = (what: string, mend: string): Finding => fail('tablespaces', what, mend);
  const odd = oddEntries(dataDir).map((path) => bad(`${path} is neither a link nor a folder`, 'remove it'));
  const data = resolved(dataDir);
  const within = (path: string, dir: string): boolean => path === dir || path.startsWith(`${dir}/`);
  const all = spacesOf(dataDir).map((space): Finding => {
    const { location } = space;
    const move = "move its tables to another one ('alter table ... set tablespace'), and drop it";
    const shut = SHUT.find((dir) => within(location, dir) && !within(dataDir, dir));
    if (within(resolved(location), data))
      return bad(`the tablespace in ${location} lies inside the data directory, and cannot be copied`, move);
    if (underSystemd && shut !== undefined)
      return bad(
        `the tablespace in ${location}: the server's unit does not let it write below ${shut}`,
        move,
      );
    if (ownFolder(dataDir, space) === null)
      return bad(
        `the tablespace in ${location}, that ${join(dataDir, 'pg_tblspc', space.oid)} names, does not exist`,
        'mount its filesystem',
      );
    if (statSync(location).uid !== owner)
      return bad(
        `${location}, a tablespace, belongs to another user than ${dataDir}`,
        `chown it to ${owner}`,
      );
    if (existsSync(join(location, 'lost+found')))
      return warn(
        'tablespaces',
        `the tablespace in ${location} is the top of a filesystem: its lost+found stops pg_rewind, so a former active is copied in full`,
        'nothing to do, or move the tables into a folder of its own there',
      );
    return ok(
      'tablespaces',
      `${location}: on a manager that joins it must be empty, or the server's user must be able to create it`,
    );
  });
  return [...odd, ...all];
}

/** Null when the data is of the version of the programs, and of one that is supported. */
async function versionFinding({ dataDir, binDir }: Place): Promise<Finding | null> {
  const data = await majorOf(dataDir);
  if (data === null) {
    const what = `${dataDir} holds no PostgreSQL database: there is no PG_VERSION in it`;
    return fail('data_directory', what, "set postgres.data_dir to the manager's own data directory");
  }
  const ran = await run(join(binDir, 'postgres'), ['--version'], { deadline: 5000 }).catch(() => undefined);
  if (ran === undefined) return missing(binDir, 'postgres', 'the version of the programs');
  const programs = Number(/(\d+)/.exec(ran.stdout)?.[1]);
  if (data !== programs) {
    const what = `the data in ${dataDir} is from PostgreSQL ${data}, ${binDir} is from ${Number.isNaN(programs) ? 'none' : programs}`;
    return fail('postgres_data_version', what, `install PostgreSQL ${data}, or set postgres.bin_dir to it`);
  }
  if ((POSTGRES_VERSIONS as readonly number[]).includes(data)) return null;
  const newest = Math.max(...POSTGRES_VERSIONS);
  return fail('postgres_data_version', `PostgreSQL ${data} is not supported`, `use 13 to ${newest}`);
}

/** Files that say that the data is somebody else's copy, or half way to being restored. */
function markFindings({ dataDir }: Place): Finding[] {
  const has = (name: string): boolean =>
    lstatSync(join(dataDir, name), { throwIfNoEntry: false }) !== undefined;
  const marks: [name: string, what: string, mend: string][] = [
    [
      'standby.signal',
      'this database is a standby of another primary',
      'start the cluster where that primary runs; if it is gone for good, promote this one first (pg_ctl promote)',
    ],
    [
      'recovery.signal',
      'this is a restored backup whose recovery has not finished: what is still to be replayed up to its target would be lost',
      `${RECOVER}; at a target that pauses, 'select pg_wal_replay_resume()'`,
    ],
    [
      'backup_label',
      'this is a copy of a running server that was never started, or a backup is being taken',
      `${RECOVER}; end a backup that is being taken`,
    ],
    ['tablespace_map', 'this is a copy of a running server that was never started', RECOVER],
  ];
  return marks
    .filter(([name]) => has(name))
    .map(([name, what, mend]) => fail(name.replace('.', '_'), `${join(dataDir, name)}: ${what}`, mend));
}

/** Of a running server that did not say it itself. */
function silentRole({ dataDir }: Place, control: Control | null): Finding[] {
  if (control?.state !== 'in archive recovery') return [];
  const what = `${dataDir}: in archive recovery (pg_controldata): it is a standby, or a backup that is being restored`;
  return [fail('server_role', what, 'start the cluster where its primary runs, or let its recovery finish')];
}

/** Of a server that does not run: how it ended. */
function restingState({ dataDir }: Place, control: Control | null): Finding[] {
  if (control === null) return [];
  const said = `${dataDir}: ${control.state} (pg_controldata)`;
  switch (control.state) {
    case 'shut down':
      return [ok('control_state', said)];
    case 'shut down in recovery':
    case 'in archive recovery': {
      const what = `${said}: it was in recovery, but the file that said so is gone; as a primary it would write to another server's timeline`;
      const mend =
        "put standby.signal back, start it with the manager's own unit, and promote it: 'pg_ctl promote'";
      return [fail('control_state', what, mend)];
    }
    default: {
      const what = `${said}: the server was not shut down, and recovers when it is started next`;
      const mend = "start it with the manager's own unit first, and check that it is as it should be";
      return [warn('control_state', what, mend)];
    }
  }
}
