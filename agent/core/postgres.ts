/**
 * What the core knows of a PostgreSQL server. The one implementation that touches a server is in
 * agent/roles/postgres; the simulator's model implements the same interface. LSNs are bigints (bytes).
 */

/** A write-ahead log position in bytes, as in `pg_lsn` ("1/2A" is 0x10000002An). */
export type Lsn = bigint;

/**
 * Where a standby may read from. `applicationName` is NODE_CLONE, the name the voter list uses (PROTOCOL D).
 */
export type Upstream = { node: string; host: string; port: number };

/**
 * PostgreSQL's `synchronous_standby_names` as data: ANY k (names). `null` is the empty (asynchronous) list.
 */
export type SyncList = { names: string[]; k: number } | null;

export type WalSender = {
  /** application_name: NODE_CLONE. */
  name: string;
  state: string;
  /** How far WAL was sent over this connection; null before anything was. */
  sent: Lsn | null;
  /** Flushed position the standby reported, or null before its first report. */
  flush: Lsn | null;
  replay: Lsn | null;
};

/**
 * How far the standby behind this walsender has what *this* server wrote; null when that is not known. A
 * standby on another branch is served up to the fork, and reports the end of its own tail as flushed: past
 * what it was ever sent (PROTOCOL D.4).
 */
export function confirmedBy(sender: WalSender): Lsn | null {
  const { state, sent, flush } = sender;
  return state === 'streaming' && sent !== null && flush !== null && flush <= sent ? flush : null;
}

export type Position = {
  timeline: number;
  /** The greater of received and replayed (PROTOCOL D.2). */
  lsn: Lsn;
  replayed: Lsn;
  /**
   * False until startup has replayed all that is on disk: an LSN read before that is too low (PROTOCOL D.2).
   */
  settled: boolean;
  /**
   * Everything that was received is replayed, and startup waits for more: what lies past `replayed` is no
   * whole record.
   */
  idle?: boolean;
};

/** A line of a timeline history file: timeline `tli` was left at `lsn`. */
export type Fork = { tli: number; lsn: Lsn };

/** One observation of the local server. `unknown` means that the server exists but did not answer in time. */
export type PgFacts = {
  /**
   * 'empty': no data directory (or an empty one); 'broken': something is there that no server can start on.
   */
  data: 'ok' | 'empty' | 'broken' | 'unknown';
  process: 'running' | 'stopped' | 'unknown';
  /** Does the server answer `select 1` on a connection of the agent's own role? */
  accepting: boolean;
  role: 'primary' | 'standby' | 'unknown';
  /** Will the next start come up as a standby? (standby.signal is there) */
  standbySignal: boolean;
  systemId: string | null;
  position: Position | null;
  /** Standby only: the upstream's node that walreceiver is streaming from; null when cut or not connected. */
  streaming: boolean;
  /** Host in the configured primary_conninfo; null when empty (cut). */
  upstreamHost: string | null;
  syncList: SyncList;
  walSenders: WalSender[];
  /** Client connections shut out? True also when the server is stopped. */
  fenced: boolean | 'unknown';
};

/** 'done' is a confirmed outcome; anything else leaves the state unknown and must be observed again. */
export type Outcome = { kind: 'done' } | { kind: 'failed'; why: string };
export type StopOutcome =
  /**
   * No process of this data directory is left. `checkpoint` is the location of the shutdown checkpoint when
   * clean.
   */
  | { kind: 'stopped'; clean: boolean; checkpoint: Lsn | null; timeline: number }
  | { kind: 'failed'; why: string };
