/**
 * What the PostgreSQL driver needs to know about its server. Filled from the config by the composition root.
 */

/**
 * Starts the server and knows its process: a child-process driver, a systemd unit, or a test's own. The
 * server outlives its starter: after a restart of the agent, `pid` is that of the server found running.
 */
export interface Starter {
  /**
   * Start `command` (argv[0] is the server's executable). Returns once it runs, not once it accepts
   * connections.
   */
  start(command: string[]): Promise<void>;
  /** Process id of the postmaster; null when it is not running. */
  pid(): number | null;
  /** Signal the postmaster. Nothing happens when there is none. */
  kill(signal: NodeJS.Signals): void;
  /**
   * Take back a start that was asked for and has no process yet, also one of an earlier starter, and end what
   * came of it within `ms`, killing it then. Resolves once that is confirmed. Absent where nothing outlives
   * `start` but the process.
   */
  revoke?(ms: number): Promise<void>;
  /** Called at each end of the postmaster, expected or not. */
  onExit(callback: () => void): void;
}

/**
 * certificate: by those of `setCertificates`; nobody is let in before. With 'trust', too, they count once
 * they are set.
 */
export type ReplicationAuth = 'trust' | 'certificate' | { password: string };

export type PgOptions = {
  /** This node's name in the cluster. */
  node: string;
  binDir: string;
  dataDir: string;
  /** State folder of the driver, outside the data directory: cluster.conf, pg_hba.conf, passfile, marks. */
  confDir: string;
  socketDir: string;
  /** Address the server is reached at by peers and clients. */
  host: string;
  port: number;
  /** Addresses to listen on; `host` alone when absent. */
  listen?: readonly string[];
  /** An operator wrote `listen`: what the manager itself says of it does not count any more. */
  listenDecided?: true;
  /** The agent's own role. Uses the Unix socket alone: over TCP it counts as a client. */
  superuser: string;
  /** The database that the agent's own connections and pg_rewind use. */
  database: string;
  /** Role that standbys, basebackup and rewind connect with. */
  replicationUser: string;
  replicationAuth: ReplicationAuth;
  /** How the agent's role is authenticated on the Unix socket: any user, or these OS users alone. */
  localAuth: 'trust' | { users: readonly string[] };
  /** How any client is let in when open, where neither `clientHba` nor `originalHba` says it. */
  clientAuth: 'trust' | 'scram-sha-256' | 'md5';
  /** pg_hba lines for clients when open, instead of `originalHba`. */
  clientHba?: readonly string[];
  /** The manager's own postgresql.conf, included before ours; the data directory's own when absent. */
  originalConfig?: string;
  /**
   * The manager's own pg_hba.conf, in force when open; absent: the one that its own settings name, else the
   * data directory's. Not its lines for the Unix socket where that is the agent's alone.
   */
  originalHba?: string;
  /** Where its pg_ident.conf is, if its own settings name none. Its maps come after the agent's. */
  originalIdent?: string;
  /**
   * Most WAL a slot may hold back, in bytes (max_slot_wal_keep_size). Past it the standby is cloned again.
   */
  walCap: number;
  /** WAL kept besides, in bytes (wal_keep_size), so that a rewind finds the checkpoint before the fork. */
  walKeep: number;
  /** Silence after which a replication connection is given up, milliseconds. */
  walTimeout: number;
  divergedDir: string;
  /** Largest sum of database sizes, in bytes, that is dumped before a rewind. */
  dumpLimit: number;
  /** Server log, to quote its last complaint when a start fails. */
  logFile?: string;
  /** More keywords for connections to other members (sslmode, sslcert, ...). */
  conninfo?: Record<string, string>;
  /** Further settings, after the managed ones. */
  parameters?: Record<string, string>;
  /** The server is a unit of systemd's: then a running one must be one, too, before it is taken over. */
  underSystemd?: boolean;
  /** The file that they come from, for who has to correct them. */
  parametersFile?: string;
  /** A line for the log. */
  say?: (line: string) => void;
  starter: Starter;
};

export const pgDefaults = {
  superuser: 'postgres',
  database: 'postgres',
  replicationUser: 'cloudify_replication',
  localAuth: 'trust',
  clientAuth: 'scram-sha-256',
  replicationAuth: 'trust',
  walCap: 4 * 1024 ** 3,
  walKeep: 128 * 1024 ** 2,
  walTimeout: 5000,
  dumpLimit: 1024 ** 3,
} as const;
