/** What the agent says of itself and of the cluster: rows for the API, the command line and the page. Pure readers. */
import type { Cluster } from './cluster.ts';
import type { NodeConfig } from './config.ts';
import { remaining } from './core/lease_view.ts';
import { formatLsn } from './core/lsn.ts';
import { standbyName } from './core/records.ts';
import type { AgentStatus, ClusterStatus, Health, NodeRow, ServiceRow } from './http/port.ts';
import type { ServiceRunner } from './roles/service_runner.ts';
import { commit, version } from './version.ts';

/** A state older than this many heartbeats is that of a node that is gone. */
const STALE_HEARTBEATS = 2;

export function healthOf(cluster: Cluster | null): Health {
  const last = cluster?.last() ?? null;
  if (cluster === null || last === null)
    return {
      active: false,
      standby: false,
      readOnly: false,
      live: true,
      ready: false,
      lagBytes: null,
      reason: 'not in a cluster',
    };
  const { node } = cluster;
  const { facts, decision } = last;
  const active =
    remaining(node.lease, node.now()) > 0 &&
    node.fence === 'open' &&
    facts.pg.role === 'primary' &&
    facts.pg.accepting &&
    !facts.checks.failing.includes('postgres_write');
  const standby = facts.pg.role === 'standby' && facts.pg.accepting && facts.pg.streaming;
  return {
    active,
    standby,
    readOnly: active || standby,
    live: true,
    ready: active || standby,
    lagBytes: null,
    reason: decision.reason,
  };
}

export async function statusOf(
  cluster: Cluster | null,
  config: NodeConfig | null,
  services: ServiceRunner | null,
  startedAt: string,
  pid: number,
  name: string,
): Promise<AgentStatus> {
  const last = cluster?.last() ?? null;
  const facts = last?.facts ?? null;
  const node = cluster?.node ?? null;
  const pg = facts?.pg ?? null;
  const active =
    facts !== null &&
    node !== null &&
    facts.lease.state === 'mine' &&
    node.fence === 'open' &&
    pg?.role === 'primary';
  return {
    node: name,
    version,
    commit,
    pid,
    startedAt,
    initialized: cluster !== null,
    removed: facts?.removed ?? false,
    role:
      facts === null
        ? 'none'
        : active
          ? 'active'
          : facts.rebuilding !== null
            ? 'joining'
            : pg?.role === 'standby'
              ? 'standby'
              : 'down',
    rule: last?.decision.rule ?? 0,
    reason: last?.decision.reason ?? 'not in a cluster',
    leaseMs: node === null ? 0 : Math.max(0, Math.round(remaining(node.lease, node.now()))),
    epoch: facts?.lease.epoch ?? 0,
    fence: node?.fence ?? 'unknown',
    database: {
      process: pg?.process ?? 'unknown',
      role: pg?.role ?? 'unknown',
      accepting: pg?.accepting ?? false,
      timeline: pg?.position?.timeline ?? 0,
      lsn: pg?.position == null ? '' : formatLsn(pg.position.lsn),
      streaming: pg?.streaming ?? false,
    },
    components: components(cluster, facts?.consul ?? 'unreachable'),
    services: services === null ? [] : await serviceRows(services, active),
    checks: facts?.checks.all ?? {},
    degraded: isDegraded(cluster),
    ...(config === null ? {} : {}),
  };
}

function components(cluster: Cluster | null, consul: 'ok' | 'unreachable'): AgentStatus['components'] {
  if (cluster === null) return [];
  const { node } = cluster;
  return [
    { name: 'check-runner', state: 'running', detail: `${Object.keys(node.checks().all).length} checks` },
    { name: 'handler-runner', state: 'running', detail: `rule ${node.lastRule}` },
    {
      name: 'consul-watcher',
      state: 'running',
      detail: consul === 'ok' ? `index ${node.view?.index ?? 0}` : 'Consul does not answer',
    },
    {
      name: 'consul-recovery-watcher',
      state: 'running',
      detail: consul === 'ok' ? 'connected' : 'waiting for Consul',
    },
    { name: 'iptables-restore', state: 'off', detail: `fence is PostgreSQL's own: ${node.fence}` },
  ];
}

async function serviceRows(services: ServiceRunner, active: boolean): Promise<ServiceRow[]> {
  return await Promise.all(
    services.services.map(async (service) => {
      const status = (await services.status(service.name)) ?? { state: 'unknown' as const };
      return {
        name: service.name,
        displayName: service.display_name ?? service.name,
        state: status.state,
        pid: status.pid ?? null,
        since: status.since?.toISOString() ?? null,
        activeOnly: service.active_only,
        expected: active || !service.active_only || service.warm,
      };
    }),
  );
}

function isDegraded(cluster: Cluster | null): boolean {
  const sync = cluster?.node.view?.sync?.value;
  const members = Object.keys(cluster?.node.view?.nodes ?? {}).length;
  return sync !== undefined && members > 1 && sync.voters.length === 0;
}

export async function clusterOf(cluster: Cluster | null): Promise<ClusterStatus> {
  const view = cluster?.node.view ?? null;
  if (cluster === null || view === null) {
    return {
      initialized: cluster !== null,
      id: null,
      error: cluster === null ? null : 'Consul was not reached yet',
      active: null,
      epoch: 0,
      since: null,
      paused: false,
      pausedUntil: null,
      sync: null,
      degraded: false,
      request: null,
      quorum: null,
      nodes: [],
    };
  }
  const members = await cluster.consul.catalog.members({ deadlineMs: 500 });
  const alive =
    members.kind === 'ok' ? members.value.filter((m) => m.status === 'alive').map((m) => m.name) : null;
  const servers = members.kind === 'ok' ? members.value.filter((m) => m.server).length : 0;
  const config = view.config?.value;
  const request = view.request?.value;
  return {
    initialized: true,
    id: view.cluster?.value.id ?? null,
    error: cluster.last()?.facts.consul === 'unreachable' ? 'Consul does not answer' : null,
    active: view.active?.value.node ?? null,
    epoch: view.lease?.value.epoch ?? 0,
    since: view.active?.value.since ?? null,
    paused: config?.paused ?? false,
    pausedUntil: config?.pausedUntil == null ? null : new Date(config.pausedUntil).toISOString(),
    sync: view.sync?.value ?? null,
    degraded: isDegraded(cluster),
    request:
      request === undefined
        ? null
        : {
            id: request.id,
            target: request.target,
            refused: request.refused,
          },
    quorum:
      alive === null
        ? null
        : { servers, alive: alive.length, survives: Math.max(0, alive.length - Math.floor(servers / 2) - 1) },
    nodes: Object.keys(view.nodes)
      .sort()
      .map((name) => rowOf(cluster, name, alive)),
  };
}

function rowOf(cluster: Cluster, name: string, alive: string[] | null): NodeRow {
  const { node } = cluster;
  const view = node.view;
  const record = view?.nodes[name];
  const state = view?.states[name];
  const own = name === node.name;
  const age = state === undefined ? Number.POSITIVE_INFINITY : Date.now() - Date.parse(state.at);
  const fresh = own || age < node.policy.heartbeat * STALE_HEARTBEATS;
  const online = own || (fresh && (alive === null || alive.includes(name)));
  const leader = view?.active?.value.node === name && view.lease?.value.holder === name;
  const group = (names: string[]) =>
    online && state !== undefined && names.every((check) => state.checks[check]?.ok !== false);
  return {
    name,
    host_ip: record?.hostIp ?? '',
    public_ip: record?.publicIp ?? null,
    state: !online || state === undefined ? 'offline' : leader ? 'leader' : 'replica',
    online,
    master: leader,
    initialized: state !== undefined && state.role !== 'joining',
    checks: {
      consul: group(['consul']) && (alive === null || alive.includes(name)),
      services: group(['services']),
      database:
        group(['postgres_port', 'postgres_select', 'postgres_following', 'postgres_write']) &&
        state?.role !== 'down',
      heartbeat: fresh && state !== undefined,
      filesync: group(['filesync']),
    },
    lag: lagOf(cluster, name),
    timeline: state?.timeline ?? 0,
    voter: view?.sync?.value.voters.some((v) => v.node === name) ?? false,
    reason: state?.reason ?? '',
    version: record?.version ?? '',
  };
}

/** Bytes behind, where this node can tell: the active sees its walsenders, a standby its own. */
function lagOf(cluster: Cluster, name: string): number | null {
  const { node } = cluster;
  const state = node.view?.states[name];
  if (node.view?.active?.value.node === name) return 0;
  if (state === undefined || node.pg?.role !== 'primary' || node.pg.position === null) return null;
  const sender = node.pg.walSenders.find((s) => s.name === standbyName({ node: name, clone: state.clone }));
  return sender?.flush == null ? null : Math.max(0, Number(node.pg.position.lsn - sender.flush));
}
