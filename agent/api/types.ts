/** What the agent offers to its HTTP side. Reading and filing requests only: nothing here acts on its own. */

import type { FailsafeRequest, FileFacts, PeerState, VoteReply, VoteRequest } from '../core/ports.ts';
import type { HistoryRecord, SyncRecord } from '../core/records.ts';
import type { FilesStatus } from '../roles/files/port.ts';
import type { TokenRow } from '../security/tokens.ts';
import type { Admission, AdmitRequest, Enrolled } from './admission.ts';
import type { AuthorityStatus } from './authority.ts';
import type { LeaseChange, LeaseReport } from './lease.ts';
import type { Configured, Differing } from './settings.ts';
import type { OutageReport, RequestReport, Silence } from './status.ts';

export type { Admission, AdmitRequest, Enrolled } from './admission.ts';
export type { AuthorityStatus } from './authority.ts';

/** One running step of a long operation (start, join, basebackup), for progress output. */
export type Step = {
  name: string;
  state: 'running' | 'done' | 'failed';
  startedAt: string;
  ms: number;
  bytes?: number;
  total?: number;
  detail?: string;
};

export type Operation = {
  id: string;
  kind: 'start' | 'join' | 'reinit' | 'remove';
  state: 'running' | 'done' | 'failed';
  error: string | null;
  errorCode: string | null;
  hint: string | null;
  steps: Step[];
};

export type ServiceRow = {
  name: string;
  displayName: string;
  state: 'running' | 'stopped' | 'failed' | 'unknown';
  pid: number | null;
  since: string | null;
  activeOnly: boolean;
  expected: boolean;
};

/** `agent status`: this manager alone. */
export type AgentStatus = Configured & {
  node: string;
  version: string;
  commit: string;
  pid: number;
  startedAt: string;
  initialized: boolean;
  removed: boolean;
  role: 'active' | 'standby' | 'joining' | 'down' | 'none';
  rule: number;
  reason: string;
  /** ms left of the own right; 0: none. */
  leaseMs: number;
  epoch: number;
  fence: 'closed' | 'open' | 'unknown';
  database: {
    process: string;
    role: string;
    accepting: boolean;
    timeline: number;
    lsn: string;
    streaming: boolean;
  };
  components: { name: string; state: string; detail: string }[];
  services: ServiceRow[];
  /** `warning`: ok, and worth a look, or it failed and not often enough yet; left out when it is not so. */
  checks: Record<string, { ok: boolean; output: string; warning?: boolean }>;
  degraded: boolean;
  /** What the lease times of the own file have to say; null: nothing. */
  leaseNote?: string | null;
};

export type NodeRow = Silence &
  Differing & {
    name: string;
    host_ip: string;
    public_ip: string | null;
    state: 'leader' | 'replica' | 'offline' | 'unknown';
    online: boolean;
    master: boolean;
    initialized: boolean;
    checks: { consul: boolean; services: boolean; database: boolean; heartbeat: boolean; filesync: boolean };
    /**
     * Columns of `checks` in which a check warns, whether or not another one fails; left out when there is
     * none.
     */
    warnings?: ('consul' | 'services' | 'database' | 'heartbeat' | 'filesync')[];
    /** Bytes behind the active; null when unknown. */
    lag: number | null;
    timeline: number;
    voter: boolean;
    reason: string;
    version: string;
    options?: { priority: number; nofailover: boolean; maintenance: boolean };
  };

export type NodeChange = { priority?: number; nofailover?: boolean; maintenance?: boolean };

export type ClusterStatus = OutageReport &
  Configured & {
    initialized: boolean;
    id: string | null;
    error: string | null;
    active: string | null;
    epoch: number;
    since: string | null;
    paused: boolean;
    pausedUntil: string | null;
    sync: SyncRecord | null;
    degraded: boolean;
    lease?: LeaseReport;
    /** Keys in Consul whose values are not understood, each with why. */
    unreadable?: Record<string, string>;
    /**
     * While records of members count without a signature: whose agents do not say that they sign. Left out:
     * they do not, or it is plain.
     */
    unsigned?: string[];
    request: RequestReport | null;
    nodes: NodeRow[];
    /**
     * Managers that were admitted and are no nodes yet; left out by earlier versions. `ends`: ISO, unless its
     * joiner goes on.
     */
    reservations?: { name: string; hostIp: string; ends: string }[];
  };

export type StartOptions = {
  hostIp?: string;
  nodeName?: string;
  publicIp?: string;
  options?: Record<string, unknown>;
};
export type JoinOptions = StartOptions & { addresses: string[]; token?: string };

export type LogLine = {
  timestamp: number;
  level: string;
  component: string;
  message: string;
  cursor: string;
};

/** Health, from memory, in well under a millisecond. */
export type Health = {
  active: boolean;
  standby: boolean;
  readOnly: boolean;
  live: boolean;
  ready: boolean;
  lagBytes: number | null;
  reason: string;
};

export interface AgentApi {
  health(): Health;
  status(): Promise<AgentStatus>;
  cluster(): Promise<ClusterStatus>;
  history(): Promise<HistoryRecord[]>;
  /**
   * File a start or join; runs in the background, at most one at a time. Refusals are thrown AgentErrors,
   * before anything changed.
   */
  start(options: StartOptions): Promise<Operation>;
  join(options: JoinOptions): Promise<Operation>;
  operation(id: string): Operation | null;
  /** File a switchover request; returns at once with its id. Refused (thrown) when the target is unfit. */
  setActive(target: string, timeoutMs: number, by: string): Promise<{ id: string; epoch: number }>;
  /** expiresMs null: until resumed. */
  pause(expiresMs: number | null): Promise<void>;
  resume(): Promise<void>;
  remove(node: string): Promise<Operation>;
  /** On the active: change what the cluster knows of a node. The node goes by it from its next look on. */
  updateNode(node: string, change: NodeChange): Promise<NodeRow>;
  lease(): LeaseReport;
  /**
   * On the active: change the lease's times, which every node goes by. Throws what stands against it, before
   * anything changed.
   */
  setLease(change: LeaseChange, by: string): Promise<LeaseReport>;
  /** Throw the data of a standby away and copy it again. */
  reinit(node: string): Promise<void>;
  logs(options: { since?: string; component?: string; limit?: number }): LogLine[];
  onLog(callback: (line: LogLine) => void): () => void;

  /** The replicated files of this node. */
  files(): { facts: FileFacts; status: FilesStatus };
  /** The operator's word on this node: held deletions are carried out. How many. */
  acceptDeletions(): Promise<number>;
  /**
   * A join token, whose text is shown here and never again. Throws `no_tls` (operator) in a plain cluster.
   */
  createToken(ttlMs: number, by: string): Promise<{ token: string; row: TokenRow }>;
  tokens(): Promise<TokenRow[]>;
  /** Throws `not_found`. */
  revokeToken(id: string): Promise<void>;
  /** When this node's certificates and the authority's end; empty in a plain cluster. */
  certificates(): { what: string; notAfter: string }[];
  /**
   * New certificates for this node, in use at once, without a restart. Resolves with what does not use them
   * yet.
   */
  renewCertificates(): Promise<string[]>;
  /**
   * Which roots count, and how far a new one is; null in a plain cluster. Throws transient `consul_unknown`.
   */
  authorityStatus(): Promise<AuthorityStatus | null>;
  /**
   * Begins a new authority, or goes on with the one under way. `hold`: not past where every node trusts both
   * roots. Throws `authority_not_ready` (operator) with who cannot take part; transient: who has not said yet
   * that it can.
   */
  renewAuthority(hold: boolean, by: string): Promise<AuthorityStatus>;

  /** The authority's certificate, PEM; null in a plain cluster and outside of one. */
  caCertificate(): string | null;
  /**
   * Is this the hash of what that node proves itself with? For enrolled members; not for a manager that was
   * admitted only.
   */
  isMember(node: string, proof: string): boolean;
  /** From peers (a member's certificate and token, or the bearer of a plain cluster's secret): */
  vote(request: VoteRequest): Promise<VoteReply>;
  peerState(): Promise<PeerState | null>;
  /** Does this member still take the asking node for the active? */
  agreeFailsafe(request: FailsafeRequest): boolean;
  /** Bytes each node is behind, as this node can tell: the active knows its standbys. */
  lags(): Record<string, number | null>;
  /** On the active, asked by a joining manager: validate and reserve; everything it needs to join. */
  admit(request: AdmitRequest): Promise<Admission>;
  /** On the active: the joined node is complete (Consul votes, data is there): write nodes/NAME. */
  enrol(node: string, caller?: { node: string; proof: string }): Promise<Enrolled>;
  /** On the active, asked by a joining manager: it is still at work. Throws `not_admitted`. */
  keepReserved(node: string, caller?: { node: string; proof: string }): Promise<void>;
  /**
   * On a node other than the active: throw own data away when it may be. `caller`: the peer that asks, where
   * the cluster uses TLS. Throws operator `forbidden` for one that does not hold the lease.
   */
  wantReclone(caller?: string): Promise<void>;
}
