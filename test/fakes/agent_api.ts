/**
 * An agent's API by hand: a three-manager cluster in memory, every call recorded, every answer replaceable.
 */

import type { LeaseReport } from '../../agent/api/lease.ts';
import type {
  Admission,
  AgentApi,
  AgentStatus,
  AuthorityStatus,
  ClusterStatus,
  Health,
  LogLine,
  NodeRow,
  Operation,
} from '../../agent/api/types.ts';
import type { HistoryRecord } from '../../agent/core/records.ts';
import { AgentError } from '../../agent/errors.ts';
import type { TokenRow } from '../../agent/security/tokens.ts';

const CHECKS = { consul: true, services: true, database: true, heartbeat: true, filesync: true };

export const nodeRow = (over: Partial<NodeRow> = {}): NodeRow => ({
  name: 'm1',
  host_ip: '127.0.0.11',
  public_ip: null,
  state: 'replica',
  online: true,
  master: false,
  initialized: true,
  checks: CHECKS,
  lag: 0,
  timeline: 2,
  voter: true,
  reason: 'following the active',
  version: '0.1.0',
  options: { priority: 100, nofailover: false, maintenance: false },
  ...over,
});

export const NODES: NodeRow[] = [
  nodeRow({ state: 'leader', master: true, reason: 'healthy active', voter: false }),
  nodeRow({ name: 'm2', host_ip: '127.0.0.12', lag: 16 * 1024 * 1024 }),
  nodeRow({
    name: 'm3',
    host_ip: '127.0.0.13',
    state: 'offline',
    online: false,
    lag: null,
    checks: { consul: false, services: false, database: false, heartbeat: false, filesync: false },
  }),
];

export const clusterStatus = (over: Partial<ClusterStatus> = {}): ClusterStatus => ({
  initialized: true,
  id: 'c0ffee',
  error: null,
  active: 'm1',
  epoch: 3,
  since: '2026-01-02T03:04:05.678Z',
  paused: false,
  pausedUntil: null,
  sync: {
    schema: 1,
    leader: 'm1',
    epoch: 3,
    timeline: 2,
    history: [{ tli: 1, lsn: '67108864' }],
    voters: [
      { node: 'm2', clone: 'aaaa0002' },
      { node: 'm3', clone: 'aaaa0003' },
    ],
    k: 1,
  },
  degraded: false,
  request: null,
  quorum: { servers: 3, alive: 2, survives: 0 },
  nodes: NODES,
  ...over,
});

export const agentStatus = (over: Partial<AgentStatus> = {}): AgentStatus => ({
  node: 'm1',
  version: '0.1.0',
  commit: '0123456789ab',
  pid: 4711,
  startedAt: '2026-01-02T03:00:00.000Z',
  initialized: true,
  removed: false,
  role: 'active',
  rule: 900,
  reason: 'healthy active',
  leaseMs: 3456,
  epoch: 3,
  fence: 'open',
  database: {
    process: 'running',
    role: 'primary',
    accepting: true,
    timeline: 2,
    lsn: '0/5000060',
    streaming: false,
  },
  components: [{ name: 'check-runner', state: 'running', detail: '6 checks' }],
  services: [
    {
      name: 'mgmtworker',
      displayName: 'Management Worker',
      state: 'running',
      pid: 4712,
      since: '2026-01-02T03:00:01.000Z',
      activeOnly: true,
      expected: true,
    },
    {
      name: 'nginx',
      displayName: 'nginx',
      state: 'failed',
      pid: null,
      since: null,
      activeOnly: false,
      expected: true,
    },
  ],
  checks: {
    postgres_port: { ok: true, output: 'accepts connections' },
    services: { ok: false, output: 'nginx does not run' },
  },
  degraded: false,
  ...over,
});

export const historyRecord = (over: Partial<HistoryRecord> = {}): HistoryRecord => ({
  schema: 1,
  epoch: 1,
  holder: 'm1',
  from: null,
  reason: 'cluster start',
  kind: 'start',
  at: '2026-01-02T03:00:00.000Z',
  timeline: 1,
  lsn: null,
  fork: [],
  opened: null,
  downtimeMs: null,
  ...over,
});

export const health = (over: Partial<Health> = {}): Health => ({
  active: true,
  standby: false,
  readOnly: true,
  live: true,
  ready: true,
  lagBytes: null,
  reason: 'healthy active',
  ...over,
});

export const standbyHealth = (over: Partial<Health> = {}): Health =>
  health({ active: false, standby: true, lagBytes: 2048, reason: 'following m1', ...over });

export const operation = (over: Partial<Operation> = {}): Operation => ({
  id: 'op-1',
  kind: 'start',
  state: 'running',
  error: null,
  errorCode: null,
  hint: null,
  steps: [],
  ...over,
});

export const logLine = (over: Partial<LogLine> = {}): LogLine => ({
  timestamp: 1_767_322_800_000_001,
  level: 'info',
  component: 'lease',
  message: 'renewed',
  cursor: '1767322800000001',
  ...over,
});

export const ADMISSION: Admission = {
  clusterId: 'c0ffee',
  incarnation: 1,
  systemId: '7300000000000000000',
  secret: 's3cret',
  consulServers: ['127.0.0.11:8500'],
  gossipKey: null,
  active: { node: 'm1', hostIp: '127.0.0.11', postgresPort: 5432 },
  members: {},
};

const DEFAULT_TIMES = { retryPeriod: 1000, renewDeadline: 4000, leaseDuration: 6000, fencingTime: 1500 };
export const LEASE: LeaseReport = {
  used: DEFAULT_TIMES,
  source: 'cluster',
  version: 2,
  by: 'socket',
  at: '2026-01-02T03:04:05.678Z',
  record: { renewDeadline: 4000, leaseDuration: 6000 },
  file: DEFAULT_TIMES,
  note: null,
  others: [],
};

export class FakeAgent implements AgentApi {
  /** Every call that asked for something, in order. */
  readonly asked: unknown[][] = [];
  readonly #listeners = new Set<(line: LogLine) => void>();

  healthNow: Health = health();
  statusNow: AgentStatus = agentStatus();
  /** Answers of cluster(), in order; the last one stays. */
  clusters: ClusterStatus[] = [clusterStatus()];
  records: HistoryRecord[] = [historyRecord()];
  /** Answers of operation(), in order; the last one stays. */
  operations: Operation[] = [operation({ state: 'done' })];
  lines: LogLine[] = [logLine()];
  /** Thrown by whatever is asked for next, once. */
  refusal: AgentError | null = null;

  get listeners(): number {
    return this.#listeners.size;
  }

  log(line: LogLine): void {
    this.lines.push(line);
    for (const listener of [...this.#listeners]) listener(line);
  }

  #ask(...what: unknown[]): void {
    this.asked.push(what);
    const refusal = this.refusal;
    this.refusal = null;
    if (refusal !== null) throw refusal;
  }

  #next<T>(answers: T[]): T {
    const [first, ...rest] = answers;
    if (rest.length > 0) answers.shift();
    return first as T;
  }

  health = () => this.healthNow;
  status = async () => this.statusNow;
  cluster = async () => this.#next(this.clusters);
  history = async () => this.records;
  operation = (id: string) => {
    const next = this.#next(this.operations);
    return next?.id === id ? next : null;
  };

  start: AgentApi['start'] = async (options) => {
    this.#ask('start', options);
    return this.#next(this.operations);
  };
  join: AgentApi['join'] = async (options) => {
    this.#ask('join', options);
    return this.#next(this.operations);
  };
  setActive: AgentApi['setActive'] = async (target, timeoutMs, by) => {
    this.#ask('setActive', target, timeoutMs, by);
    return { id: 'req-1', epoch: 3 };
  };
  pause: AgentApi['pause'] = async (ms) => this.#ask('pause', ms);
  resume: AgentApi['resume'] = async () => this.#ask('resume');
  remove: AgentApi['remove'] = async (node) => {
    this.#ask('remove', node);
    return this.#next(this.operations);
  };
  updateNode: AgentApi['updateNode'] = async (node, change) => {
    this.#ask('updateNode', node, change);
    const options = { priority: 100, nofailover: false, maintenance: false, ...change };
    return nodeRow({ name: node, options });
  };
  leaseNow: LeaseReport = LEASE;
  lease: AgentApi['lease'] = () => this.leaseNow;
  setLease: AgentApi['setLease'] = async (change, by) => {
    this.#ask('setLease', change, by);
    return this.leaseNow;
  };
  reinit: AgentApi['reinit'] = async (node) => this.#ask('reinit', node);

  logs: AgentApi['logs'] = ({ since, component, limit }) => {
    const found = this.lines.filter(
      (line) =>
        (component === undefined || line.component === component) &&
        (since === undefined || Number(line.cursor) > Number(since)),
    );
    return limit === undefined ? found : found.slice(-limit);
  };
  onLog: AgentApi['onLog'] = (callback) => {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  };

  vote: AgentApi['vote'] = async (request) => {
    this.#ask('vote', request);
    const lsn = 0x1_0000_0000_0000_0001n;
    return {
      kind: 'vote',
      vote: { node: 'm2', clone: 'aaaa0002', timeline: 2, lsn, history: [{ tli: 1, lsn: 0x4000000n }] },
    };
  };
  peerState: AgentApi['peerState'] = async () => ({ replayed: 2n ** 60n + 1n, timeline: 2, streaming: true });
  agreeFailsafe: AgentApi['agreeFailsafe'] = () => true;
  lags: AgentApi['lags'] = () => ({ m1: 0 });
  admit: AgentApi['admit'] = async (request) => {
    this.#ask('admit', request);
    return ADMISSION;
  };
  enrol: AgentApi['enrol'] = async (node) => {
    this.#ask('enrol', node);
    return {};
  };
  keepReserved: AgentApi['keepReserved'] = async (node) => this.#ask('keepReserved', node);
  wantReclone: AgentApi['wantReclone'] = async (caller) =>
    this.#ask('wantReclone', ...(caller === undefined ? [] : [caller]));

  tokenRows: TokenRow[] = [];
  files: AgentApi['files'] = () => ({
    facts: { state: 'behind', needItems: 2, needBytes: 2048, errors: 0, mode: 'receiveonly' },
    status: {
      silent: null,
      seenAt: 1,
      connected: true,
      folders: [],
      held: [{ folder: 'resources', deletions: 900, of: 1000 }],
      notes: [],
    },
  });
  acceptDeletions: AgentApi['acceptDeletions'] = async () => {
    this.#ask('acceptDeletions');
    return 900;
  };
  createToken: AgentApi['createToken'] = async (ttlMs, by) => {
    this.#ask('createToken', ttlMs, by);
    const row: TokenRow = {
      id: 'aaaa0001',
      created: '2026-11-22T10:00:00.000Z',
      expires: '2026-11-22T11:00:00.000Z',
      by,
      state: 'open',
      usedBy: null,
    };
    this.tokenRows.push(row);
    return { token: 'aaaa0001.secret.pin', row };
  };
  tokens: AgentApi['tokens'] = async () => this.tokenRows;
  revokeToken: AgentApi['revokeToken'] = async (id) => this.#ask('revokeToken', id);
  certificates: AgentApi['certificates'] = () => [{ what: 'agent', notAfter: '2028-11-22T10:00:00.000Z' }];
  renewCertificates: AgentApi['renewCertificates'] = async () => {
    this.#ask('renewCertificates');
    return [];
  };
  /** One after the other; the last one stays. Empty as in a plain cluster. */
  authorities: AuthorityStatus[] = [];
  authorityStatus: AgentApi['authorityStatus'] = async () =>
    (this.authorities.length > 1 ? this.authorities.shift() : this.authorities[0]) ?? null;
  renewAuthority: AgentApi['renewAuthority'] = async (hold, by) => {
    this.#ask('renewAuthority', hold, by);
    return (await this.authorityStatus()) as AuthorityStatus;
  };
  /** PEM; null as in a plain cluster. */
  authority: string | null = null;
  caCertificate: AgentApi['caCertificate'] = () => this.authority;
  /** Hash of each member's token. */
  proofs: Record<string, string> = {};
  isMember: AgentApi['isMember'] = (node, proof) => this.proofs[node] === proof;
}

export const refusal = (code: string): AgentError =>
  new AgentError({ class: 'operator', code, message: `refused: ${code}`, hint: 'do this instead' });
