/** The agent's API by name, as the command line calls it. Shapes are those of agent/api/. */

import type { LeaseChange, LeaseReport } from '../api/lease.ts';
import type {
  AgentApi,
  AgentStatus,
  AuthorityStatus,
  ClusterStatus,
  JoinOptions,
  LogLine,
  NodeChange,
  NodeRow,
  Operation,
  StartOptions,
} from '../api/types.ts';
import type { HistoryRecord } from '../core/records.ts';
import type { TokenRow } from '../security/tokens.ts';
import { type ClientOptions, createClient, type HttpClient } from './client.ts';

type CertificateRow = { what: string; notAfter: string };

/** Start and join look at other machines before they answer. */
const SLOW_CALL = 60_000;

const node = (name: string) => `/api/v1/nodes/${encodeURIComponent(name)}`;

export interface LogOptions {
  readonly component?: string | undefined;
  readonly limit?: number | undefined;
  readonly since?: string | undefined;
}

/** The query of /api/v1/logs. */
export function logPath({ component, limit, since }: LogOptions, follow = false): string {
  const query = new URLSearchParams();
  if (component !== undefined) query.set('component', component);
  if (limit !== undefined) query.set('limit', String(limit));
  if (since !== undefined) query.set('since', since);
  if (follow) query.set('follow', '1');
  const text = query.toString();
  return `/api/v1/logs${text === '' ? '' : `?${text}`}`;
}

export function agentClient(http: HttpClient) {
  const get = <T>(path: string) => http.call<T>({ method: 'GET', path });
  const post = <T>(path: string, body: unknown = {}, ms?: number) =>
    http.call<T>({ method: 'POST', path, body, ...(ms === undefined ? {} : { ms }) });
  return {
    http,
    status: () => get<AgentStatus>('/api/v1/status'),
    cluster: () => get<ClusterStatus>('/api/v1/cluster'),
    nodes: async () => (await get<{ items: NodeRow[] }>('/api/v1/nodes')).items,
    node: (name: string) => get<NodeRow>(node(name)),
    history: async () => (await get<{ items: HistoryRecord[] }>('/api/v1/history')).items,
    operation: (id: string) => get<Operation>(`/api/v1/operations/${encodeURIComponent(id)}`),
    start: (options: StartOptions) => post<Operation>('/api/v1/start', options, SLOW_CALL),
    join: (options: JoinOptions) => post<Operation>('/api/v1/join', options, SLOW_CALL),
    /** `timeoutMs`: how long the request stands. */
    setActive: (name: string, timeoutMs: number) =>
      post<{ id: string; epoch: number }>('/api/v1/set-active', { node: name, timeout: timeoutMs / 1000 }),
    pause: (ms: number | null) => post<object>('/api/v1/pause', { for: ms === null ? null : ms / 1000 }),
    resume: () => post<object>('/api/v1/resume'),
    remove: (name: string) => http.call<Operation>({ method: 'DELETE', path: node(name), ms: SLOW_CALL }),
    update: (name: string, change: NodeChange) =>
      http.call<NodeRow>({ method: 'PATCH', path: node(name), body: change }),
    lease: () => get<LeaseReport>('/api/v1/lease'),
    setLease: ({ preset, multiplier, ...times }: LeaseChange) =>
      post<LeaseReport>('/api/v1/lease', {
        ...(preset === undefined ? {} : { preset }),
        ...(multiplier === undefined ? {} : { multiplier }),
        ...Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, `${ms}ms`])),
      }),
    files: () => get<ReturnType<AgentApi['files']>>('/api/v1/files'),
    acceptDeletions: () => post<{ deletions: number }>('/api/v1/files/accept', {}, SLOW_CALL),
    createToken: (ttlMs: number) =>
      post<{ token: string; row: TokenRow }>('/api/v1/tokens', { ttl: ttlMs / 1000 }),
    tokens: async () => (await get<{ items: TokenRow[] }>('/api/v1/tokens')).items,
    revokeToken: (id: string) =>
      http.call<object>({ method: 'DELETE', path: `/api/v1/tokens/${encodeURIComponent(id)}` }),
    certificates: async () => (await get<{ items: CertificateRow[] }>('/api/v1/certificates')).items,
    renewCertificates: () =>
      post<{ failed: string[]; items: CertificateRow[] }>('/api/v1/certificates/renew', {}, SLOW_CALL),
    authorityStatus: async () =>
      (await get<{ authority: AuthorityStatus | null }>('/api/v1/authority')).authority,
    renewAuthority: async (hold: boolean) =>
      (await post<{ authority: AuthorityStatus }>('/api/v1/authority/renew', { hold }, SLOW_CALL)).authority,
    reinit: (name: string) => post<object>(`${node(name)}/reinit`),
    logs: async (options: LogOptions) => (await get<{ items: LogLine[] }>(logPath(options))).items,
  };
}

export type AgentClient = ReturnType<typeof agentClient>;

export const connectAgent = (options: ClientOptions): AgentClient => agentClient(createClient(options));
