/** The one row that postgres_write writes: cloudify_agent.heartbeat. */
import { laterSettings } from '../../roles/postgres/query_settings.ts';
import type { PgTarget } from '../port.ts';
import { WireSession } from './session.ts';

const APPLICATION = 'cloudify-agent heartbeat';

/** A table of somebody else's could carry a trigger, which would run with the agent's rights. */
const INSPECT = `
  select case
    when n.oid is null then 'missing'
    when n.nspowner <> r.oid then 'foreign'
    when c.oid is null then 'missing'
    when c.relkind <> 'r' or c.relowner <> r.oid then 'foreign'
    else 'ours' end
  from pg_roles r
  left join pg_namespace n on n.nspname = 'cloudify_agent'
  left join pg_class c on c.relnamespace = n.oid and c.relname = 'heartbeat'
  where r.rolname = current_user`;

/** The room on the page keeps every update there: the table stays as small as it was made. */
const CREATE = `
  create schema if not exists cloudify_agent;
  create table if not exists cloudify_agent.heartbeat (
    id integer primary key check (id = 1),
    at timestamptz not null
  ) with (fillfactor = 20)`;

/**
 * Set for this role, or for all of them, it is no word on the server: clients that write say otherwise for
 * themselves.
 */
const WRITABLE = `
  select set_config(name, 'off', false) from pg_settings
  where name = 'default_transaction_read_only' and source in ('global', 'database', 'user', 'database user')`;

const FILL = 'insert into cloudify_agent.heartbeat values (1, clock_timestamp()) on conflict do nothing';

/**
 * A connection on which `beat` works; makes schema, table and row where they are missing. `onPid` is told the
 * backend's process id before anything is written. Statements that wait longer than `statementMs` for
 * anything but the disk or a standby are ended by the server itself.
 */
export async function openForWriting(
  target: PgTarget,
  statementMs: number,
  signal: AbortSignal,
  onPid: (pid: number) => void,
): Promise<WireSession> {
  const timeout = String(Math.max(1, Math.round(statementMs)));
  const session = await WireSession.open(target, signal, {
    application_name: APPLICATION,
    statement_timeout: timeout,
    lock_timeout: timeout,
    // Making the table waits for no standby; the heartbeat itself commits as a client's write does.
    synchronous_commit: 'local',
  });
  onPid(session.pid);
  const abort = () => session.close();
  signal.addEventListener('abort', abort, { once: true });
  try {
    await session.query(WRITABLE);
    const { value } = await session.query(INSPECT);
    if (value === 'foreign')
      throw new Error('cloudify_agent.heartbeat belongs to another role: drop or rename it');
    if (value !== 'ours') await session.query(CREATE);
    await session.query(FILL);
    await session.query(laterSettings);
    await session.query('set synchronous_commit = on');
    return session;
  } catch (error) {
    session.close();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * Writes the row. Resolves once the commit is acknowledged, by the standbys too where those are waited for.
 */
export async function beat(session: WireSession): Promise<void> {
  const { tag } = await session.query(
    'update cloudify_agent.heartbeat set at = clock_timestamp() where id = 1',
  );
  if (tag !== 'UPDATE 1') throw new Error(`the heartbeat row is missing (${tag})`);
}

/**
 * What a backend of ours does, asked on a connection of its own. standby: its commit is on disk here and
 * waits for one.
 */
export async function backendState(
  target: PgTarget,
  pid: number,
  signal: AbortSignal,
): Promise<'gone' | 'standby' | 'busy'> {
  const { value } = await WireSession.once(
    target,
    `select coalesce(wait_event, '') from pg_stat_activity where pid = ${pid} and application_name = '${APPLICATION}'`,
    signal,
  );
  if (value === null) return 'gone';
  return value === 'SyncRep' ? 'standby' : 'busy';
}
