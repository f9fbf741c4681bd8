/**
 * The settings the agent owns. They stand in cluster.conf, which is read after the manager's own
 * configuration and carries, in its first line, the data it was made from: one file, replaced at once, is all
 * the state.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { SyncList, Upstream } from '../../core/postgres.ts';
import { conninfoTo } from './conninfo.ts';
import { least } from './kept.ts';
import type { PgOptions } from './options.ts';
import { recoverySettings } from './recovery_settings.ts';
import { slotName } from './slot_name.ts';
import { inPlaceSetting } from './tablespaces.ts';
import { serverTls, type TlsSettings } from './tls.ts';

export type Settings = {
  upstream: Upstream | null;
  /** application_name towards the upstream: NODE_CLONE. */
  identity: string;
  syncList: SyncList;
  fenced: boolean;
  /** Names of the certificates that may connect, and which files are ours (tls.ts). */
  tls?: TlsSettings;
  /** Settings raised so that it may start as a standby (control.ts). */
  floors?: Record<string, string>;
  /** The manager's own that are more than is needed (kept.ts). */
  kept?: Record<string, string>;
  /**
   * Of `parameters` in agent.yaml, those that the server's own program has read without a complaint
   * (parameters.ts).
   */
  parameters?: Record<string, string>;
  /** New at each writing. A server shows by it which writing it has loaded. */
  generation: string;
};

export const clusterConf = (o: Pick<PgOptions, 'confDir'>): string => join(o.confDir, 'cluster.conf');
export const mainConf = (o: Pick<PgOptions, 'confDir'>): string => join(o.confDir, 'postgresql.conf');
export const hbaFile = (o: Pick<PgOptions, 'confDir'>): string => join(o.confDir, 'pg_hba.conf');
export const identFile = (o: Pick<PgOptions, 'confDir'>): string => join(o.confDir, 'pg_ident.conf');

/**
 * Never anything else: on the command line, where no ALTER SYSTEM changes it, not for the moment until that
 * is taken out again.
 */
const fixed: Readonly<Record<string, string>> = {
  ...recoverySettings(null),
  hot_standby: 'on',
  restart_after_crash: 'off',
};

/** How the server is started, by the driver as by its unit. */
export const serverCommand = (o: Pick<PgOptions, 'binDir' | 'dataDir' | 'confDir'>): string[] => [
  join(o.binDir, 'postgres'),
  '-D',
  o.dataDir,
  '-c',
  `config_file=${mainConf(o)}`,
  ...Object.entries(fixed).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
];

export function initialSettings(o: PgOptions): Settings {
  return { upstream: null, identity: o.node, syncList: null, fenced: true, generation: newGeneration() };
}

export const newGeneration = (): string => randomUUID().slice(0, 13);

/** A value as it stands in a configuration file. */
export const confValue = (text: string): string => `'${text.replace(/\\/g, '\\\\').replace(/'/g, "''")}'`;

/** synchronous_standby_names. Names are quoted: NODE_CLONE may hold capitals and dashes. */
export function renderSyncList(list: SyncList): string {
  if (list === null || list.names.length === 0) return '';
  return `ANY ${list.k} (${list.names.map((n) => `"${n.replaceAll('"', '""')}"`).join(', ')})`;
}

/** The inverse of renderSyncList. Throws on a list that is not one of ours. */
export function parseSyncList(text: string): SyncList {
  if (text.trim() === '') return null;
  const match = /^ANY (\d+) \((.*)\)$/.exec(text.trim());
  const names = [...(match?.[2] ?? '').matchAll(/"((?:[^"]|"")*)"(?:, |$)/g)].map((m) =>
    (m[1] ?? '').replaceAll('""', '"'),
  );
  const list = { names, k: Number(match?.[1]) };
  if (!match || renderSyncList(list) !== text.trim()) throw new Error(`not a list of ours: ${text}`);
  return list;
}

const megabytes = (bytes: number): string => `${Math.max(1, Math.round(bytes / 1024 ** 2))}MB`;

/** Every setting that is the agent's. `major`: the version of the data, null where there is none yet. */
export function managed(o: PgOptions, s: Settings, major: number | null): Record<string, string> {
  return {
    ...recoverySettings(major),
    data_directory: o.dataDir,
    hba_file: hbaFile(o),
    ident_file: identFile(o),
    // The distribution's place for it may be another user's.
    external_pid_file: join(o.confDir, 'postgres.pid'),
    listen_addresses: (o.listen ?? [o.host]).join(','),
    port: String(o.port),
    unix_socket_directories: o.socketDir,
    hot_standby: 'on',
    hot_standby_feedback: 'off',
    // However many clients there are, the agent gets in.
    superuser_reserved_connections: '8',
    ...least,
    ...s.kept,
    wal_log_hints: 'on',
    wal_keep_size: megabytes(o.walKeep),
    max_slot_wal_keep_size: megabytes(o.walCap),
    // Commits wait for the receivers after a restart of the primary: five seconds by default, too long.
    wal_retrieve_retry_interval: '100ms',
    wal_receiver_status_interval: '1s',
    wal_sender_timeout: `${o.walTimeout}ms`,
    wal_receiver_timeout: `${o.walTimeout}ms`,
    // A query on a standby must not hold up the replay that a promotion waits for.
    max_standby_streaming_delay: '3s',
    max_standby_archive_delay: '3s',
    // After a backend crash the postmaster would recover by itself and open unfenced, showing commits that
    // nobody confirmed (PROTOCOL D.7). It exits instead, and the agent restarts it fenced.
    restart_after_crash: 'off',
    // What a standby says it has flushed must be there after a power cut, whatever the manager's own files
    // say.
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    synchronous_standby_names: renderSyncList(s.syncList),
    primary_conninfo: s.upstream ? conninfoTo(o, s.tls, s.upstream, s.identity) : '',
    primary_slot_name: s.upstream ? slotName(o.node) : '',
    ...(s.tls === undefined ? {} : serverTls(o, s.tls)),
  };
}

const marks = (s: Settings): Record<string, string> => ({
  'agent.generation': s.generation,
  'agent.fenced': s.fenced ? 'on' : 'off',
});

/**
 * With fewer senders or slots than the manager's own files had, its own slots would keep the server down: the
 * larger number holds.
 */
const notBelow = (kept: Record<string, string>, parameters: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => {
      const own = kept[name.toLowerCase()] ?? '';
      return [name, Number(own) > Number(value) ? own : value];
    }),
  );

export function renderClusterConf(o: PgOptions, s: Settings, major: number | null = null): string {
  const lines = Object.entries({
    ...managed(o, s, major),
    ...notBelow(s.kept ?? {}, s.parameters ?? o.parameters ?? {}),
    ...s.floors,
    ...inPlaceSetting(o.dataDir),
    ...marks(s),
  }).map(([name, value]) => `${name} = ${confValue(value)}`);
  return [
    `# settings ${JSON.stringify(s)}`,
    '# Written by the agent and replaced at every change: put your own settings elsewhere.',
    ...lines,
    '',
  ].join('\n');
}

/** What cluster.conf was made from; null when there is none or it is not readable as ours. */
export function parseClusterConf(text: string | null): Settings | null {
  const match = /^# settings (\{.*\})$/m.exec(text ?? '');
  if (!match) return null;
  try {
    const s = JSON.parse(match[1] ?? '') as Partial<Settings>;
    if (typeof s.generation !== 'string' || typeof s.fenced !== 'boolean') return null;
    return s as Settings;
  } catch {
    return null;
  }
}

/** The file the server is started with. `original` is left out when there is no such file. */
export function renderMainConf(o: PgOptions, original: string | null): string {
  const include = (path: string) => `include = ${confValue(path)}`;
  return [
    "# Written by the agent: the manager's own settings, then the cluster's.",
    ...(original ? [include(original)] : []),
    include(clusterConf(o)),
    '',
  ].join('\n');
}

/** Every name that the agent may set, of any version. */
export function managedNames(o: PgOptions): Set<string> {
  const tls = o.replicationAuth === 'certificate' ? serverTls(o, { id: '', members: [] }) : {};
  // agent.yaml says what holds, not what somebody once set beside it.
  const parameters = Object.keys(o.parameters ?? {}).map((name) => name.toLowerCase());
  return new Set([...Object.keys(managed(o, initialSettings(o), 13)), ...Object.keys(tls), ...parameters]);
}

/**
 * postgresql.auto.conf without what the agent owns, and the lines that were taken out. The server reads that
 * file last, and a basebackup or a rewind brings the source's.
 */
export function partAutoConf(text: string, o: PgOptions): { kept: string; taken: string[] } {
  const names = managedNames(o);
  const isOurs = (line: string) => names.has((/^\s*([\w.]+)/.exec(line)?.[1] ?? '').toLowerCase());
  const lines = text.split('\n');
  return { kept: lines.filter((line) => !isOurs(line)).join('\n'), taken: lines.filter(isOurs) };
}
