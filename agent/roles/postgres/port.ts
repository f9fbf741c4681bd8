/**
 * The local PostgreSQL server as the agent drives it. Every method is idempotent and state-seeking, has the
 * deadline given in its own comment, and never throws for an expected outcome. The agent's settings live in
 * one file of their own (cluster.conf, outside the data directory, so that neither basebackup nor rewind
 * copies it), written atomically and durably, then reloaded.
 */
import type {
  Fork,
  Lsn,
  Outcome,
  PgFacts,
  Position,
  StopOutcome,
  SyncList,
  Upstream,
  WalSender,
} from '../../core/postgres.ts';
import type { Finding } from '../../platform/finding.ts';

/**
 * `refused`: the server's program does not take them. Without it they could not be tried. `own`: those of the
 * manager alone.
 */
export type Rehearsed = Outcome & { refused?: boolean; own?: boolean };

export type Progress = (step: { what: string; bytes?: number; total?: number }) => void;

/** What the data directory holds. Changes nothing, needs no server; one that runs is asked besides. */
export type Inspection = {
  /** Missing counts as empty. */
  empty: boolean;
  /** Major version, from PG_VERSION. */
  version: number | null;
  systemId: string | null;
  /** Why no copy of a database could take its place, with what to do. */
  unfit?: string;
  /** Of its databases, without those that are everywhere; absent where no server answers. */
  locales?: string[];
  /** Versions of what sorts, by the server that runs on it. */
  collations?: { libc?: string; icu?: string };
};

/** PEM texts, and the common names of the certificates that members may connect with now. */
export type Certificates = { caPem: string; certPem: string; keyPem: string; members: readonly string[] };

/**
 * Reason to abort a long task's signal with when the agent ends and its task shall not: where tasks live in
 * another process they go on for a while, to be joined by the next agent that asks for the same.
 */
export const DETACH = 'the agent detaches from its task';

export interface Postgres {
  /**
   * Observe everything at once. Deadline `ms`; what did not answer in time is unknown. Keeps its own
   * connection.
   */
  facts(ms: number): Promise<PgFacts>;

  /**
   * What stands in the way of founding a cluster on this database, running or not. Changes nothing; never
   * throws.
   */
  preflight(): Promise<Finding[]>;

  /**
   * Is the data directory one that can be clustered? Refuses (failed, with what to do) a wrong version,
   * tablespaces that could not be copied, another user's files. Changes nothing but: writes cluster.conf
   * (which switches wal_log_hints on) and the fenced pg_hba, removes managed settings from
   * postgresql.auto.conf. The server must be stopped.
   */
  adopt(): Promise<Outcome>;

  /**
   * Would the server start with what is configured? Its own program reads all of it, the manager's own files
   * too, whether it runs or not. Failed: file, key and what the server says. Changes nothing.
   */
  rehearse(): Promise<Rehearsed>;

  /**
   * On a running server: settings of the agent's that somebody has set with ALTER SYSTEM are taken out of its
   * file and out of force. `taken` names them. A standby that has less than its active, and so no longer
   * replays, is made to end, to be started with as much; so is one that has a tablespace in the folder of
   * another server of this machine. Deadline `ms`.
   */
  holdSettings(ms: number): Promise<Outcome & { taken?: string[] }>;

  /** Throws when it cannot be looked at. */
  inspect(): Promise<Inspection>;

  /**
   * Which of these locales this machine lacks: its server would open no database that is sorted by one.
   * Throws when it cannot be asked.
   */
  missingLocales(locales: readonly string[]): Promise<string[]>;
  /**
   * End the server at once and whatever long task runs, and empty the data directory and the driver's own
   * folder: the manager has no database then. For the undoing of a join and for teardown of a copy.
   */
  wipe(): Promise<Outcome>;
  /**
   * Certificates for replication, of the server and towards other members, and who may connect with one:
   * sessions of others are ended. In force with a reload; nothing happens when they are already. On a stopped
   * server: the files.
   */
  setCertificates(certificates: Certificates): Promise<Outcome>;

  /**
   * Start as a standby: standby.signal is put in first, durably. Returns once connections are accepted or
   * `ms` is over. Always fenced.
   */
  startStandby(ms: number): Promise<Outcome>;
  /**
   * Start writable: standby.signal is removed. Always fenced. Only ever called under a valid lease (PROTOCOL
   * B.5).
   */
  startPrimary(ms: number): Promise<Outcome>;
  /**
   * fast: clean stop, other clients terminated; immediate: no checkpoint. After `ms` the processes are
   * killed. 'stopped' is confirmed by there being no process of the data directory left and none on its way:
   * starts that were asked for before come to nothing, later ones wait; failed when one cannot be waited out
   * in `ms`. standby.signal is put in afterwards when `thenStandby`.
   */
  stop(mode: 'fast' | 'immediate', ms: number, thenStandby: boolean): Promise<StopOutcome>;
  checkpoint(ms: number): Promise<Outcome>;
  /** pg_promote and wait until not in recovery. */
  promote(ms: number): Promise<Outcome & { timeline?: number }>;

  /**
   * Set primary_conninfo and reload; null cuts, and then returns only when the walreceiver is gone (PROTOCOL
   * D.1). Works on a stopped server too.
   */
  setUpstream(upstream: Upstream | null, ms: number): Promise<Outcome>;
  /**
   * This node's application_name towards its upstream (NODE_CLONE). Takes effect with the next setUpstream or
   * start.
   */
  setIdentity(applicationName: string): Promise<void>;
  /**
   * Write synchronous_standby_names, reload, and make it *effective* (PROTOCOL D.4): a new connection shows
   * the value, all walsenders were terminated after that, and when the list was empty before also a
   * CHECKPOINT was made. On a standby or stopped server only the file (and reload) is needed.
   */
  setSyncList(list: SyncList, ms: number): Promise<Outcome>;
  /** The walsenders and the current insert position of a primary. null when it cannot be read in `ms`. */
  replication(ms: number): Promise<{ insert: Lsn; timeline: number; senders: WalSender[] } | null>;
  position(ms: number): Promise<Position | null>;

  /**
   * Shut clients out: pg_hba for the agent's role and replication only, reload, then client backends
   * terminated until none is left; verified with a fresh client connection. On a stopped server: the file.
   */
  fence(ms: number): Promise<Outcome>;
  /** Let clients in: the open pg_hba and a reload. */
  unfence(ms: number): Promise<Outcome>;

  /**
   * On a primary: the role of standbys, basebackup and rewind exists with its password and grants. Replicated
   * from there.
   */
  ensureReplicationRole(ms: number): Promise<Outcome>;
  /**
   * A physical slot for each of the member *nodes* other than this one, on primary and standby: created when
   * missing or lost; with `drop`, those of other nodes are dropped and their walsenders ended.
   */
  ensureSlots(nodes: string[], ms: number, drop?: boolean): Promise<Outcome>;
  /**
   * Advance the slots a standby holds for others to its last restart point, or less, within a margin
   * (PROTOCOL E.3).
   */
  advanceSlots(ms: number): Promise<Outcome>;

  /** The history of timeline `tli` (oldest first), from pg_wal. Timeline 1 has none. */
  history(tli: number): Promise<Fork[] | null>;
  /**
   * Make every timeline number from the current one + 1 up to `next` - 1 taken, with a history file that
   * names no parent (so that no server follows it), that the next promotion takes `next` (PROTOCOL E.1). Only
   * on a cut standby.
   */
  reserveTimelines(next: number): Promise<Outcome>;

  /**
   * Replace the data directory with a copy of `from`. Written beside it, or inside where it is a mount point,
   * and moved into place when complete. Cancelled by `signal`.
   */
  basebackup(from: Upstream, progress: Progress, signal: AbortSignal): Promise<Outcome>;
  /**
   * pg_rewind to `from`. The server must be stopped cleanly or as a standby; leaves standby.signal in place.
   */
  rewind(from: Upstream, progress: Progress, signal: AbortSignal): Promise<Outcome>;
  /**
   * Save what differs from `forkLsn` on timeline `tli` on: WAL from there and, when it fits the limit, a
   * dump. Server running as a cut standby for the dump. Returns the folder.
   */
  saveDivergence(opts: {
    epoch: number;
    fork: Fork | null;
    reason: string;
  }): Promise<Outcome & { dir?: string }>;

  /**
   * Called when the server's process ended or the agent's own connection to it broke: at once, at most once
   * per loss.
   */
  onLost(callback: () => void): void;
  /**
   * Whoever asked is gone: of what was asked for, nothing that gives is written any more (an upstream, a
   * promotion, a list, a writable start, clients let in). What shuts goes on. For the helper, at each change
   * of its agent.
   */
  abandon(): void;
  close(): Promise<void>;
}
