/** What the agent says of the whole cluster: rows for the API, the command line and the page. Pure readers. */
import type { Cluster } from './cluster.ts';
import { confirmedBy } from './core/postgres.ts';
import { standbyName } from './core/records.ts';
import type { ClusterStatus, NodeRow } from './http/port.ts';
import { differencesOf, sameFolders } from './member_settings.ts';
import { leaseReport } from './operations/lease_times.ts';
import { endOf } from './operations/reservation.ts';

/** A state older than this many heartbeats is that of a node that is gone. */
const STALE_HEARTBEATS = 2;

export function isDegraded(cluster: Cluster | null): boolean {
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
  const active = view.active?.value.node ?? null;
  const [members, seen] = await Promise.all([
    cluster.consul.catalog.members({ deadlineMs: 500 }),
    active === null || active === cluster.node.name ? null : cluster.peers.lags(active, 300),
  ]);
  const lags = seen ?? lagsOf(cluster);
  const alive =
    members.kind === 'ok' ? members.value.filter((m) => m.status === 'alive').map((m) => m.name) : null;
  // Who has left by its own will is remembered by Serf for a while, and no server any more.
  const counts = (m: { server: boolean; status: string }) => m.server && m.status !== 'left';
  const servers = members.kind === 'ok' ? members.value.filter(counts).length : 0;
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
    lease: leaseReport(cluster.node),
    ...(view.unreadable === undefined ? {} : { unreadable: view.unreadable }),
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
      .map((name) => rowOf(cluster, name, alive, lags)),
    reservations: Object.entries(view.joining ?? {}).map(([name, held]) => ({
      name,
      hostIp: held.node.hostIp,
      ends: new Date(endOf(held)).toISOString(),
    })),
  };
}

function rowOf(
  cluster: Cluster,
  name: string,
  alive: string[] | null,
  lags: Record<string, number | null>,
): NodeRow {
  const { node } = cluster;
  const view = node.view;
  const record = view?.nodes[name];
  const state = view?.states[name];
  const own = name === node.name;
  const age = state === undefined ? Number.POSITIVE_INFINITY : Date.now() - Date.parse(state.at);
  const fresh = own || age < node.policy.heartbeat * STALE_HEARTBEATS;
  const online = own || (fresh && (alive === null || alive.includes(name)));
  // Named in Consul, and saying of itself that it is open: after a cold start the first alone proves nothing.
  const named = view?.active?.value.node === name && view.lease?.value.holder === name;
  const leader = named && state?.role === 'active';
  const active = view?.active?.value.node ?? null;
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
      filesync: group(['filesync']) && sameFolders(view?.nodes ?? {}, name, active),
    },
    differs: differencesOf(view?.nodes ?? {}, name, active),
    lag: lags[name] ?? null,
    timeline: state?.timeline ?? 0,
    voter: view?.sync?.value.voters.some((v) => v.node === name) ?? false,
    reason: state?.reason ?? '',
    version: record?.version ?? '',
  };
}

export function lagsOf(cluster: Cluster): Record<string, number | null> {
  const names = Object.keys(cluster.node.view?.nodes ?? {});
  return Object.fromEntries(names.map((name) => [name, lagOf(cluster, name)]));
}

/** Bytes behind, where this node can tell: the active sees its walsenders, a standby its own. */
function lagOf(cluster: Cluster, name: string): number | null {
  const { node } = cluster;
  const state = node.view?.states[name];
  if (node.view?.active?.value.node === name) return 0;
  if (state === undefined || node.pg?.role !== 'primary' || node.pg.position === null) return null;
  const sender = node.pg.walSenders.find((s) => s.name === standbyName({ node: name, clone: state.clone }));
  const flush = sender === undefined ? null : confirmedBy(sender);
  return flush === null ? null : Math.max(0, Number(node.pg.position.lsn - flush));
}
