/**
 * What a session of the agent's goes by, whatever ALTER ROLE, ALTER DATABASE, ALTER SYSTEM or postgresql.conf
 * say: given as the connection is made, they come before all of those. Without them a role that is read-only,
 * short of time or another's keeps the agent from opening its own database.
 */

/** Any role may set these for itself. */
export const plainSettings: Readonly<Record<string, string>> = {
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  // A hot standby knows no serializable transactions.
  default_transaction_isolation: 'read committed',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // Nobody's function stands in for the system's.
  search_path: 'pg_catalog',
  role: 'none',
  row_security: 'on',
  standard_conforming_strings: 'on',
  default_tablespace: '',
};

/** The agent's own role is a superuser. */
export const ownSettings: Readonly<Record<string, string>> = {
  ...plainSettings,
  // Triggers and event triggers of others do not fire, but for those that are ENABLE ALWAYS.
  session_replication_role: 'replica',
  // A library that is gone would end every connection.
  session_preload_libraries: '',
  local_preload_libraries: '',
  // Several statements a second, day and night.
  log_statement: 'none',
  log_duration: 'off',
  log_min_duration_statement: '-1',
};

/** What some versions alone know, set once the connection is there. */
export const laterSettings =
  "select set_config(name, '0', false) from pg_settings where name in ('idle_session_timeout', 'transaction_timeout')";

/** As PGOPTIONS, for PostgreSQL's own programs. */
export const asPgOptions = (settings: Readonly<Record<string, string>>): string =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, (c) => `\\${c}`)}`)
    .join(' ');
