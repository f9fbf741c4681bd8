/**
 * The cluster's traces taken out of a database, so that the distribution's own unit can run it with the
 * manager's own settings: a standby is promoted, for without that it would go on writing the timeline of the
 * cluster it leaves. The server runs for a moment, as its own user, where nobody can reach it: no TCP, a
 * socket in a folder of its own.
 */
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import { AgentError, messageOf } from '../errors.ts';
import { postgresBinDir } from '../platform/paths.ts';
import { takenFile } from '../roles/postgres/originals.ts';
import { asPgOptions, ownSettings } from '../roles/postgres/query_settings.ts';
import { slotPrefix } from '../roles/postgres/slot_name.ts';
import { whyNotToStart } from '../roles/postgres/tablespaces.ts';
import { POSTGRES_USER } from '../trampoline/names.ts';
import type { Machine } from './machine.ts';
import { postgresConfDir } from './names.ts';

const PLACE = '/run/cloudify-teardown';
const TEN_MINUTES = 600_000;

/** Inside the quotes that pg_ctl's own shell reads. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** With the settings of the agent's own sessions: what is set for its role must not keep it from this. */
const connectTo = (database: string): string => {
  const value = (text: string) => `'${text.replace(/[\\']/g, (c) => `\\${c}`)}'`;
  return `dbname=${value(database)} options=${value(asPgOptions(ownSettings))}`;
};

const setting = (name: string, value: string): string => `-c ${quoted(`${name}=${value}`)}`;

/**
 * SQL that is right to repeat. Slots without their limit (cluster.conf) would keep WAL for ever. The role's
 * rights (pg_rewind's functions) go with it; where another database gave it some, it stays, but nobody can be
 * it any more.
 */
export const cleaning = (replicationUser: string): string =>
  [
    `select pg_drop_replication_slot(slot_name) from pg_replication_slots
     where slot_type = 'physical' and not active and starts_with(slot_name::text, '${slotPrefix}');`,
    'drop schema if exists cloudify_agent cascade;',
    `do $$ begin
       if not exists (select from pg_roles where rolname = '${replicationUser}') then return; end if;
       drop owned by "${replicationUser}";
       begin
         drop role "${replicationUser}";
       exception when dependent_objects_still_exist then
         alter role "${replicationUser}" nologin noreplication password null;
       end;
     end $$;`,
  ].join('\n');

export const isStandby = (config: Config, machine: Machine): boolean =>
  machine.look(join(config.postgres.data_dir, 'standby.signal')) !== undefined;

/** Appends what was taken out ($1) to postgresql.auto.conf ($2), whole or not at all. */
export const givingBack =
  'umask 077; cat -- "$2" "$1" >"$2.back" && sync -- "$2.back" && mv -- "$2.back" "$2" && rm -- "$1"';

/**
 * What was set with ALTER SYSTEM before the cluster. As the owner: root follows no link in there (PROTOCOL
 * H.1).
 */
async function giveBackSettings(config: Config, machine: Machine, as: readonly string[]): Promise<void> {
  const taken = takenFile({ dataDir: config.postgres.data_dir });
  if (machine.look(taken) === undefined) return;
  const auto = join(config.postgres.data_dir, 'postgresql.auto.conf');
  await machine.run([...as, 'sh', '-c', givingBack, 'sh', taken, auto]);
}

/** Returns what was done, in words. Throws with the server's own complaint. */
export async function giveBackDatabase(config: Config, machine: Machine): Promise<string> {
  const binDir = postgresBinDir(config);
  if (binDir === undefined)
    throw new AgentError({
      class: 'operator',
      code: 'program_missing',
      message: 'there is no PostgreSQL here',
    });
  const { data_dir: dataDir, superuser, database, port, replication_user } = config.postgres;
  const unsafe = whyNotToStart(dataDir);
  if (unsafe !== null)
    throw new AgentError({ class: 'operator', code: 'database_not_given_back', message: unsafe });
  const as = ['setpriv', `--reuid=${POSTGRES_USER}`, `--regid=${POSTGRES_USER}`, '--init-groups', '--'];
  const program = (name: string, ...args: string[]) =>
    machine.run([...as, join(binDir, name), ...args], TEN_MINUTES);
  const ctl = (...args: string[]) => program('pg_ctl', '-D', dataDir, '-w', '-t', '600', ...args);
  const ask = (sql: string) =>
    program(
      'psql',
      ...['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', PLACE, '-p', String(port)],
      ...['-U', superuser, '-d', connectTo(database), '-c', sql],
    );

  await machine.remove(PLACE, true);
  await machine.make({
    kind: 'folder',
    path: PLACE,
    owner: POSTGRES_USER,
    group: POSTGRES_USER,
    mode: 0o700,
  });
  const hba = `${PLACE}.hba`;
  await machine.make({
    ...{ kind: 'file', path: hba, owner: 'root', group: 'root', mode: 0o644 },
    content: 'local all all trust\n',
  });
  const options = [
    setting('config_file', join(postgresConfDir(config), 'postgresql.conf')),
    setting('hba_file', hba),
    setting('listen_addresses', ''),
    setting('unix_socket_directories', PLACE),
    setting('primary_conninfo', ''),
    setting('primary_slot_name', ''),
    setting('synchronous_standby_names', ''),
    setting('ssl', 'off'),
    setting('logging_collector', 'off'),
  ].join(' ');
  const was = isStandby(config, machine) ? 'a standby, promoted' : 'a primary';
  try {
    await ctl('start', '-s', '-l', join(PLACE, 'log'), '-o', options);
    try {
      if ((await ask('select pg_is_in_recovery()')).trim() === 't') await ctl('promote', '-s');
      await ask(cleaning(replication_user));
      await ask('checkpoint');
    } finally {
      await ctl('stop', '-s', '-m', 'fast');
    }
    await giveBackSettings(config, machine, as);
  } catch (cause) {
    const said = machine.read(join(PLACE, 'log'))?.trim().split('\n').slice(-4).join('; ') ?? '';
    throw new AgentError({
      class: 'operator',
      code: 'database_not_given_back',
      message: `the database in ${dataDir} could not be made a stand-alone one: ${messageOf(cause)}${said === '' ? '' : ` (${said})`}`,
      hint: 'an unfinished copy has to be removed by hand; --skip-database leaves the data directory as it is',
      cause,
    });
  } finally {
    await machine.remove(hba);
    await machine.remove(PLACE, true);
  }
  return `was ${was}; slots, role and heartbeat table of the cluster removed`;
}
