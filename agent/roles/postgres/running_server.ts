/**
 * The manager's own server as it runs before the agent has it: who started it, who reads from it, what lives
 * in it.
 */
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { type Finding, fail, ok, warn } from '../../platform/finding.ts';
import { run } from '../../platform/process.ts';
import { alive, readStat } from '../../platform/procfs.ts';
import type { Place } from './preflight.ts';
import { childrenOf, processTitle } from './process.ts';
import { asPgOptions, ownSettings } from './query_settings.ts';
import { majorOf, readText } from './read_text.ts';
import { slotPrefix } from './slot_name.ts';
import { quoteLiteral } from './sql.ts';

export type Running = { pid: number; port: string; host: string };

/**
 * By its own postmaster.pid. A process of that number that is no PostgreSQL, or works elsewhere, is not it.
 */
export async function runningServer(dataDir: string): Promise<Running | null> {
  const lines = ((await readText(join(dataDir, 'postmaster.pid'))) ?? '').split('\n');
  const pid = Number.parseInt(lines[0] ?? '', 10);
  if (!(pid > 0) || !alive(pid) || !/^postgres|^postmaster/.test(readStat(pid)?.command ?? '')) return null;
  try {
    if (readlinkSync(`/proc/${pid}/cwd`) !== realpathSync(dataDir)) return null;
  } catch {
    // Another user's: not to be seen where it works, and running for all that is known.
  }
  return { pid, port: (lines[3] ?? '').trim(), host: (lines[4] ?? '').trim() || (lines[5] ?? '').trim() };
}

/** What a machine's unit of a distribution is named like, and the agent's own. */
const UNITS = /^(postgresql(@[\w.-]+|-\d+)?|cloudify-postgresql)\.service$/;

/**
 * systemd's own hierarchy, the innermost unit in it: a container's own lies inside of that of the machine
 * below.
 */
function unitOf(cgroup: () => string): string | undefined {
  try {
    return cgroup()
      .split('\n')
      .filter((line) => /^(\d+:name=systemd|0:):/.test(line))
      .map((line) => line.split('/').findLast((part) => /\.(service|scope)$/.test(part)))
      .find((unit) => unit !== undefined);
  } catch {
    return undefined; // gone by now
  }
}

/** Whoever else started it would start it again, beside the agent's. */
export function startedBy(
  { dataDir, underSystemd }: Pick<Place, 'dataDir' | 'underSystemd'>,
  { pid }: Pick<Running, 'pid'>,
  cgroup = () => readFileSync(`/proc/${pid}/cgroup`, 'utf8'),
): Finding[] {
  if (underSystemd !== true) return [];
  const unit = unitOf(cgroup);
  const server = `the server on ${dataDir} (process ${pid})`;
  if (unit === undefined)
    return [
      warn('server_unit', `it is not clear what started ${server}`, 'make sure that nothing starts it again'),
    ];
  if (UNITS.test(unit)) return [ok('server_unit', `${server} runs in ${unit}`)];
  const what = `${server} runs in ${unit}, not in the distribution's unit: what started it may start it again`;
  return [
    fail('server_unit', what, "stop it there for good, and start it with 'systemctl start postgresql'"),
  ];
}

type Sender = { name: string; from: string; kind: string | null };
type Slot = { name: string; type: string; database: string | null };
type Seen = {
  recovery: boolean;
  upstream: string | null;
  database: boolean;
  superuser: boolean;
  walLevel: string;
  senders: Sender[];
  slots: Slot[];
  always: string[];
  sortedOtherwise: { name: string; by: string; now: string }[];
  recoveryLeft: string[];
};

/** Databases remember from 15 on by which version they were sorted. */
const SORTED_OTHERWISE = `(select coalesce(json_agg(json_build_object('name', datname, 'by', datcollversion,
    'now', pg_database_collation_actual_version(oid)) order by datname), '[]')
  from pg_database where datallowconn and datcollversion <> pg_database_collation_actual_version(oid))`;

const looking = (database: string, version: number): string => `select json_build_object(
  'recovery', pg_is_in_recovery(),
  'upstream', (select sender_host || ':' || sender_port from pg_stat_wal_receiver limit 1),
  'database', exists (select from pg_database where datname = ${quoteLiteral(database)} and datallowconn),
  'superuser', current_setting('is_superuser') = 'on',
  'walLevel', current_setting('wal_level'),
  'senders', (select coalesce(json_agg(json_build_object('name', r.application_name, 'kind', s.slot_type,
      'from', coalesce(host(r.client_addr), 'this machine'))), '[]')
    from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid),
  'slots', (select coalesce(json_agg(json_build_object('name', slot_name, 'type', slot_type, 'database', database)), '[]')
    from pg_replication_slots where not temporary and not starts_with(slot_name::text, '${slotPrefix}')),
  'always', (select coalesce(json_agg(evtname), '[]') from pg_event_trigger where evtenabled in ('A', 'R')),
  'sortedOtherwise', ${version >= 15 ? SORTED_OTHERWISE : "'[]'::json"},
  'recoveryLeft', (select coalesce(json_agg(name order by name), '[]') from pg_settings where setting is distinct from boot_val and name in
    ('recovery_target', 'recovery_target_name', 'recovery_target_time', 'recovery_target_xid', 'recovery_target_lsn',
     'restore_command', 'archive_cleanup_command', 'recovery_end_command', 'promote_trigger_file', 'recovery_min_apply_delay')))`;

/** On its own port, as the owner of the data: as root, by becoming that. */
async function ask(o: Place, { port, host }: Running, database: string): Promise<Seen | string> {
  const args = ['-XAtq', '--no-password', '-h', host, '-p', port, '-U', o.superuser, '-d', database];
  const version = (await majorOf(o.dataDir)) ?? 0;
  const psql = [join(o.binDir, 'psql'), ...args, '-c', looking(o.database, version)];
  const { uid, gid } = await stat(o.dataDir);
  const as =
    process.getuid?.() === 0 ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'] : [];
  const [program = '', ...rest] = [...as, ...psql];
  const env = {
    LC_ALL: 'C',
    LANGUAGE: undefined,
    PGOPTIONS: asPgOptions(ownSettings),
    PGDATABASE: undefined,
  };
  const ran = await run(program, rest, { deadline: 5000, env, cwd: '/' });
  if (ran.code === 0) return JSON.parse(ran.stdout) as Seen;
  return ran.ended === 'deadline' ? 'no answer in time' : (ran.stderr.trim().split('\n').at(-1) ?? '');
}

export async function serverFindings(o: Place, server: Running): Promise<Finding[]> {
  let seen = await ask(o, server, o.database);
  // Is it the database that is not there?
  if (typeof seen === 'string') {
    const other = await ask(o, server, 'template1');
    if (typeof other !== 'string' && !other.database) seen = other;
  }
  if (typeof seen === 'string') return notAsked(o, server, seen);
  return [...roleFindings(o, server, seen), ...readerFindings(seen), ...contentFindings(seen)];
}

/** What shows from outside. Nothing is said to be right of what is not known. */
function notAsked(o: Place, { pid }: Running, said: string): Finding[] {
  const what = `the running server (process ${pid}) could not be asked who reads from it: ${said}`;
  const mend = `let ${o.superuser} in on its Unix socket as the owner of the data: 'local all ${o.superuser} peer' in pg_hba.conf`;
  const senders = childrenOf(pid)
    .map((child) => processTitle(child.pid))
    .filter((title) => title.includes('walsender'));
  if (senders.length === 0) return [warn('server_asked', what, mend)];
  return [fail('server_asked', `${what}; WAL is sent: ${senders.join(', ')}`, mend)];
}

function roleFindings(o: Place, { pid }: Running, seen: Seen): Finding[] {
  const findings: Finding[] = [];
  if (seen.recovery) {
    const from = seen.upstream === null ? '' : `, which streams from ${seen.upstream}`;
    const what = `the server on ${o.dataDir} (process ${pid}) is a standby${from}: as an active it would write to the timeline of its primary`;
    const mend =
      "start the cluster where the primary runs; if that is gone for good, promote this one first: 'pg_ctl promote'";
    findings.push(fail('server_role', what, mend));
  } else findings.push(ok('server_role', `the server on ${o.dataDir} is a primary`));
  if (!seen.database) {
    const mend = `'create database ${o.database}', or set postgres.database to one that is there for good`;
    findings.push(
      fail('agent_database', `there is no database ${o.database}, which the agent connects to`, mend),
    );
  }
  if (!seen.superuser)
    findings.push(
      fail('agent_role', `${o.superuser} is not a superuser`, 'set postgres.superuser to a role that is'),
    );
  return findings;
}

/** What receives WAL for an archive: no server that could be promoted. */
const ARCHIVERS = /^(pg_receivewal|pg_basebackup|barman_receive_wal|barman_streaming_backup)$/;

function readerFindings({ senders, slots }: Seen): Finding[] {
  const named = (list: Sender[]) =>
    list.map(({ name, from }) => `${name || 'without a name'} (${from})`).join(', ');
  const physical = senders.filter(({ kind }) => kind !== 'logical');
  const standbys = physical.filter(({ name }) => !ARCHIVERS.test(name));
  const archivers = physical.filter(({ name }) => ARCHIVERS.test(name));
  const findings: Finding[] = [];
  if (standbys.length > 0) {
    const what = `standbys that belong to no cluster stream from it: ${named(standbys)}; if somebody promotes one, it is a second active`;
    const mend = `stop them, and what manages them, and drop their slots; emptied, they join with 'agent cluster join'`;
    findings.push(fail('other_standbys', what, mend));
  }
  if (archivers.length > 0) {
    const mend = 'start them again on the new active after each role change; a slot does not move with it';
    findings.push(warn('other_readers', `WAL is received by ${named(archivers)}`, mend));
  }
  const logical = slots.filter(({ type }) => type === 'logical');
  if (logical.length > 0) {
    const list = logical.map(({ name, database }) => `${name} (${database})`).join(', ');
    const mend = 'create them again on the new active after each role change, and copy their data again';
    findings.push(
      warn('logical_slots', `logical slots are kept here, and do not move to another active: ${list}`, mend),
    );
  }
  const others = slots.filter(({ type }) => type !== 'logical').map(({ name }) => name);
  if (others.length > 0) {
    const what = `slots of other programs are kept here with at most postgres.wal_cap of WAL: ${others.join(', ')}`;
    findings.push(
      warn('other_slots', what, "drop those that nobody reads from: 'select pg_drop_replication_slot(...)'"),
    );
  }
  return findings;
}

function contentFindings({ always, recoveryLeft, sortedOtherwise, walLevel }: Seen): Finding[] {
  const findings: Finding[] = [
    ok('wal_level', `wal_level is ${walLevel}${walLevel === 'logical' ? ', and stays so' : ''}`),
  ];
  if (always.length > 0) {
    const what = `event triggers fire for the agent too (ENABLE ALWAYS or REPLICA): ${always.join(', ')}`;
    findings.push(
      warn(
        'event_triggers',
        what,
        "'alter event trigger NAME enable', or see that they let the agent's role pass",
      ),
    );
  }
  if (sortedOtherwise.length > 0) {
    const list = sortedOtherwise
      .map(({ name, by, now }) => `${name} (by version ${by}, here is ${now})`)
      .join(', ');
    const mend =
      "'reindex database NAME' and 'alter database NAME refresh collation version', in each of them";
    findings.push(
      warn(
        'collation_version',
        `sorted by another version of the system's library, so an index may miss rows: ${list}`,
        mend,
      ),
    );
  }
  if (recoveryLeft.length > 0) {
    const what = `recovery settings are still there: ${recoveryLeft.join(', ')}; they have no effect while clustered`;
    findings.push(
      warn('recovery_settings', what, 'remove them from the configuration if they are not wanted afterwards'),
    );
  }
  return findings;
}
