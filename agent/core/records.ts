/**
 * The values under `cloudify/cluster/` in Consul (CONTRACTS 4), as the core reads and writes them. Each
 * carries a `schema` number; agent/consul/records.ts holds the valibot schemas that check them on the way in.
 */
import type { ConfigRecord } from './config_record.ts';
import type { Fork } from './postgres.ts';

/** LSNs travel as decimal strings: JSON has no 64 bit integers. */
export type LsnText = string;

export type LeaseRecord = {
  schema: 1;
  /** The next master; '' when the lease was released (free at once, no waiting). */
  holder: string;
  /**
   * Boot id and nonce of the holding agent; '' in a handover, until the target has renewed (PROTOCOL B.1,
   * B.2).
   */
  instance: string;
  epoch: number;
  seq: number;
  reason: string;
  /** Who held it before, when it was handed over or released. */
  from: string | null;
  /**
   * A confirmed clean stop of `from`: whoever has replayed past `lsn` on `timeline` needs no votes (PROTOCOL
   * D.8).
   */
  clean: { timeline: number; lsn: LsnText } | null;
  /**
   * Where the holder's data stood when it took the lease: nobody whose own data is no prefix of that follows
   * it before `sync` tells its branch (PROTOCOL D.6). Left out by a founder, and by agents that know none.
   */
  stood?: Stood | undefined;
  /** In a handover or release: how long clients had been shut out already, for the measured downtime. */
  closedForMs: number | null;
  /** By which the writer goes, and all who wait for it; left out by agents that go by their own file. */
  times?: RecordTimes | undefined;
};

export type Stood = { timeline: number; lsn: LsnText; history: { tli: number; lsn: LsnText }[] };

/** Milliseconds. */
export type RecordTimes = { renewDeadline: number; leaseDuration: number };

export type ClusterRecord = { schema: 1; id: string; incarnation: number; systemId: string };

export type Voter = { node: string; clone: string };

export type SyncRecord = {
  schema: 1;
  leader: string;
  epoch: number;
  timeline: number;
  /** Where each earlier timeline was left, oldest first. */
  history: { tli: number; lsn: LsnText }[];
  voters: Voter[];
  k: number;
};

export type ActiveRecord = {
  schema: 1;
  node: string;
  epoch: number;
  hostIp: string;
  timeline: number;
  since: string;
};

export type NodeRecord = {
  schema: 1;
  hostIp: string;
  publicIp: string | null;
  apiPort: number;
  postgresPort: number;
  version: string;
  options: { priority: number; nofailover: boolean; maintenance: boolean };
  /** Syncthing's device id; left out where no files are replicated. */
  deviceId?: string | undefined;
  /**
   * The membership's name in its certificates, and a fingerprint; left out in a plain cluster. `services`:
   * they have a name per service from the beginning, and none has the membership's alone.
   */
  certificate?: { name: string; fingerprint: string; services?: boolean | undefined } | undefined;
  /** It is being removed: no voter any more, and its key goes next. */
  leaving?: boolean | undefined;
  /** Hash of what this node proves itself with to its peers. */
  proof?: string | undefined;
  /**
   * Folders, services, ports and versions, as this node has them; checked where it is read
   * (member_settings.ts). Left out by older agents.
   */
  settings?: unknown;
  /**
   * Which roots it trusts and shows, once it uses them; checked where it is read (security/authority.ts).
   * Left out by older agents.
   */
  authority?: unknown;
};

/**
 * A manager that is being admitted: its record before it is a node. Firewalls and databases let it in
 * already. It ends `lifeMs` after `at`, which the joiner moves on while it works; left out by earlier
 * versions. 0: it is being removed, and let in nowhere any more.
 */
export type JoiningRecord = { schema: 1; at: string; node: NodeRecord; lifeMs?: number | undefined };

export type StateRecord = {
  schema: 1;
  role: 'active' | 'standby' | 'down' | 'joining';
  clone: string;
  timeline: number;
  lsn: LsnText;
  /**
   * Must this node's data be wiped or rewound before it can follow? It may only be once it is no voter
   * (PROTOCOL D.5).
   */
  wants: 'nothing' | 'rewind' | 'reclone';
  failing: string[];
  /** It failed as active not long ago: no automatic handover goes to it, a requested one does. */
  cooldown: boolean;
  /**
   * What a promotion here would still have to make first; left out: nothing, or not known (an older agent).
   */
  unready?: string[] | undefined;
  /** `warning` is left out where nothing is to be looked at, and by agents that do not tell it yet. */
  checks: Record<string, { ok: boolean; output: string; warning?: boolean }>;
  /** Of the active: what the switchover request with that id waits for; left out: nothing, or not known. */
  waiting?: { id: string; why: string } | undefined;
  /** What this node lacks of the replicated files; left out by agents that know none. */
  files?: FilesRecord | undefined;
  rule: string;
  reason: string;
  agentVersion: string;
  at: string;
  /**
   * It lets certificates in that have a name per service; its own PostgreSQL shows one with the name that all
   * its services share, or with its own. Left out by agents that know no such names, and in a plain cluster.
   */
  certificates?: 'shared' | 'own' | undefined;
  /**
   * Its agent signs what it writes of members and checks what it reads; left out by agents that do not, and
   * in a plain cluster.
   */
  signs?: boolean | undefined;
  /** The lease times of its own file, where they are not those that it goes by. */
  fileTimes?:
    | { retryPeriod: number; renewDeadline: number; leaseDuration: number; fencingTime: number }
    | undefined;
};

export type FilesRecord = {
  state: 'off' | 'complete' | 'behind' | 'unknown';
  needItems: number;
  needBytes: number;
  errors: number;
};

export type RequestRecord = {
  schema: 1;
  id: string;
  kind: 'switchover';
  target: string;
  epoch: number;
  /** Wall clock, milliseconds: only ever makes a request go away, never act. */
  expires: number;
  by: string;
  /** Why it was refused or cancelled; kept until the next request, so that every node can tell. */
  refused: string | null;
};

export type HistoryRecord = {
  schema: 1;
  epoch: number;
  holder: string;
  from: string | null;
  reason: string;
  kind: 'start' | 'switchover' | 'failover' | 'recover';
  at: string;
  /**
   * Reserved for the promotion under this epoch before it happens, so that no two promotions share a number
   * (PROTOCOL E.1).
   */
  timeline: number;
  lsn: LsnText | null;
  fork: { tli: number; lsn: LsnText }[];
  opened: string | null;
  downtimeMs: number | null;
  /**
   * What the new active lacked of the replicated files when it was promoted; left out where there are none.
   */
  files?: { needItems: number; needBytes: number } | undefined;
};

export type Kv<T> = { value: T; index: number };

/** One consistent read of everything the core needs. `null` is known to be absent. */
export type View = {
  /** Raft index of the read. */
  index: number;
  lease: Kv<LeaseRecord> | null;
  cluster: Kv<ClusterRecord> | null;
  sync: Kv<SyncRecord> | null;
  active: Kv<ActiveRecord> | null;
  request: Kv<RequestRecord> | null;
  config: Kv<ConfigRecord> | null;
  nodes: Record<string, NodeRecord>;
  joining?: Record<string, JoiningRecord>;
  states: Record<string, StateRecord>;
  removed: string[];
  history: HistoryRecord[];
  /**
   * Keys whose values are not understood, each with why (a newer version, a write that broke off, somebody's
   * hand). What is above then holds what was last understood, as far as this process knows it; a member stays
   * one. Left out: all are.
   */
  unreadable?: Record<string, string>;
};

export function lsnText(lsn: bigint): LsnText {
  return lsn.toString();
}

export function forksOf(history: { tli: number; lsn: LsnText }[]): Fork[] {
  return history.map((f) => ({ tli: f.tli, lsn: BigInt(f.lsn) }));
}

export function forksText(history: readonly Fork[]): { tli: number; lsn: LsnText }[] {
  return history.map((f) => ({ tli: f.tli, lsn: lsnText(f.lsn) }));
}

/** How a standby calls itself towards its upstream, and how the voter list names it (PROTOCOL D). */
export function standbyName(voter: Voter): string {
  return `${voter.node}_${voter.clone}`;
}

/** `need`: how many of the listed clones must have voted for a promotion (PROTOCOL D). */
export function votesNeeded(sync: SyncRecord): number {
  return sync.voters.length - sync.k + 1;
}
