/**
 * `postgres.parameters`: which names and values may stand there. Whether the server takes them, it says
 * itself (rehearse.ts).
 */
import type { Problem } from './problems.ts';

/** As the server's own files write a name: letters, digits, _ and $, and one dot in those of extensions. */
const NAME = /^[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)?$/;

/** The key of agent.yaml that stands for a setting of the server's. */
const OWN_KEYS: Readonly<Record<string, string>> = {
  data_directory: 'postgres.data_dir',
  hba_file: 'postgres.original_hba or postgres.client_hba',
  listen_addresses: 'postgres.listen',
  max_slot_wal_keep_size: 'postgres.wal_cap',
  port: 'postgres.port',
  synchronous_standby_names: 'synchronous_mode',
  unix_socket_directories: 'postgres.socket_dir',
};

/**
 * Settings the agent alone may set: to change one by `parameters` would break a promise, or the agent's own
 * way to its server. All that it sets itself is here or in RAISED_PARAMETERS (test/config/parameters).
 */
export const RESERVED_PARAMETERS = [
  ...Object.keys(OWN_KEYS),
  // Where the server is, and how the agent gets in.
  'config_file',
  'external_pid_file',
  'ident_file',
  'unix_socket_group',
  'unix_socket_permissions',
  'db_user_namespace',
  'cluster_name',
  // What is acknowledged is on the disk, here and on the standbys.
  'fsync',
  'full_page_writes',
  'synchronous_commit',
  'wal_level',
  'wal_log_hints',
  'data_sync_retry',
  'zero_damaged_pages',
  'ignore_checksum_failure',
  'ignore_invalid_pages',
  'ignore_system_indexes',
  // Who is active, and what a standby follows.
  'default_transaction_read_only',
  'restart_after_crash',
  'hot_standby',
  'hot_standby_feedback',
  'primary_conninfo',
  'primary_slot_name',
  'promote_trigger_file',
  'recovery_min_apply_delay',
  'restore_command',
  'archive_cleanup_command',
  'recovery_end_command',
  ...['', '_action', '_inclusive', '_lsn', '_name', '_time', '_timeline', '_xid'].map(
    (end) => `recovery_target${end}`,
  ),
  'idle_replication_slot_timeout',
  // In what time a lost connection, a fence or a promotion is over.
  'max_standby_archive_delay',
  'max_standby_streaming_delay',
  'pre_auth_delay',
  'post_auth_delay',
  'update_process_title',
  'wal_receiver_status_interval',
  'wal_receiver_timeout',
  'wal_retrieve_retry_interval',
  'wal_sender_timeout',
] as const;

/** Directives that read another file in their place: what stands there would be checked by nobody. */
const DIRECTIVES = ['include', 'include_dir', 'include_if_exists'];
/** Certificates are the cluster's; `agent.` are the agent's own marks in the server. */
const RESERVED_BEGINNINGS = ['ssl', 'agent.'];

/**
 * What the agent sets and an operator may set higher. `unit`: what a number without one counts in the
 * server's files.
 */
export const RAISED_PARAMETERS: Readonly<Record<string, { readonly least: number; readonly unit?: string }>> =
  {
    max_wal_senders: { least: 20 },
    max_replication_slots: { least: 20 },
    superuser_reserved_connections: { least: 8 },
    wal_keep_size: { least: 128, unit: 'MB' },
  };

const MEGABYTES: Readonly<Record<string, number>> = { kB: 1 / 1024, MB: 1, GB: 1024, TB: 1024 ** 2 };

/** In the setting's own unit; NaN where it is no plain number of it. */
function amount(value: string, unit: string | undefined): number {
  const match = /^(\d+)\s*([kMGT]B)?$/.exec(value.trim());
  if (match === null || (match[2] !== undefined && unit === undefined)) return Number.NaN;
  return Number(match[1]) * (match[2] === undefined ? 1 : (MEGABYTES[match[2]] ?? Number.NaN));
}

const reserved = (name: string): boolean =>
  (RESERVED_PARAMETERS as readonly string[]).includes(name) ||
  DIRECTIVES.includes(name) ||
  RESERVED_BEGINNINGS.some((beginning) => name.startsWith(beginning));

const LEFT_OUT = "must be left out: the agent sets it, because the cluster's guarantees depend on it";

/** What is wrong with one; undefined when nothing is. `name`: trimmed, in lower case. */
function wrong(written: string, name: string, value: string): string | undefined {
  const key = OWN_KEYS[name];
  if (key !== undefined) return `${LEFT_OUT}; ${key} is the key for it`;
  if (reserved(name)) return LEFT_OUT;
  if (name === 'max_connections') return 'must be left out: postgres.max_connections is the key for it';
  if (!NAME.test(written.toLowerCase()))
    return `'${written}' is not the name of a setting: must be letters, digits and _, as in postgresql.conf`;
  // One line each: what follows a line end would be a setting of its own, or none.
  if (/[\0\r\n]/.test(value)) return 'must be one line: it has a line end';
  const raised = RAISED_PARAMETERS[name];
  if (raised === undefined) return undefined;
  const { least, unit = '' } = raised;
  return amount(value, raised.unit) >= least
    ? undefined
    : `must be a whole number of at least ${least}${unit}, which the cluster needs; it is '${value}'`;
}

/** Names are looked at as the server reads them: in any case, and without the blanks around them. */
export function parameterProblems(parameters: Readonly<Record<string, string>>): Problem[] {
  const names = Object.keys(parameters);
  const plain = names.map((name) => name.trim().toLowerCase());
  return names.flatMap((written, index) => {
    const name = plain[index] ?? '';
    const path = `postgres.parameters.${written}`;
    const message = wrong(written, name, parameters[written] ?? '');
    if (message !== undefined) return [{ path, message }];
    const first = plain.indexOf(name);
    return first === index
      ? []
      : [{ path, message: `must be left out: '${names[first]}' is the same setting` }];
  });
}
