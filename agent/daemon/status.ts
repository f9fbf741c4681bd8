/** What the agent says of itself, for the API and the command line. Pure readers. */

import type { AgentStatus, Health, ServiceRow } from '../api/types.ts';
import type { NodeConfig } from '../config/index.ts';
import { remaining } from '../core/lease_view.ts';
import { formatLsn } from '../core/lsn.ts';
import type { Member } from '../node/member.ts';
import type { ServiceRunner } from '../roles/services/runner.ts';
import { commit, version } from '../version.ts';
import { isDegraded } from './cluster_status.ts';

export function healthOf(member: Member | null): Health {
  const last = member?.last() ?? null;
  if (member === null || last === null)
    return {
      active: false,
      standby: false,
      readOnly: false,
      live: true,
      ready: false,
      lagBytes: null,
      reason: 'not in a cluster',
    };
  const { node } = member;
  const { facts, decision } = last;
  const active =
    remaining(node.lease, node.now()) > 0 &&
    node.fence.state === 'open' &&
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
    lagBytes:
      standby && facts.pg.position !== null
        ? Number(facts.pg.position.lsn - facts.pg.position.replayed)
        : null,
    reason: decision.reason,
  };
}

export async function statusOf(
  member: Member | null,
  config: NodeConfig | null,
  services: ServiceRunner | null,
  startedAt: string,
  pid: number,
  name: string,
): Promise<AgentStatus> {
  const last = member?.last() ?? null;
  const facts = last?.facts ?? null;
  const node = member?.node ?? null;
  const pg = facts?.pg ?? null;
  const active =
    facts !== null &&
    node !== null &&
    facts.lease.state === 'mine' &&
    // Asked now: the last look may be of a while ago.
    remaining(node.lease, node.now()) > 0 &&
    node.fence.state === 'open' &&
    pg?.role === 'primary';
  return {
    node: name,
    version,
    commit,
    pid,
    startedAt,
    initialized: member !== null,
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
    fence: node?.fence.state ?? 'unknown',
    database: {
      process: pg?.process ?? 'unknown',
      role: pg?.role ?? 'unknown',
      accepting: pg?.accepting ?? false,
      timeline: pg?.position?.timeline ?? 0,
      lsn: pg?.position == null ? '' : formatLsn(pg.position.lsn),
      streaming: pg?.streaming ?? false,
    },
    components: components(member, facts?.consul ?? 'unreachable'),
    services: services === null ? [] : await serviceRows(services, active),
    checks: facts?.checks.all ?? {},
    degraded: isDegraded(member),
    leaseNote: node?.timesNote ?? null,
  };
}

function components(member: Member | null, consul: 'ok' | 'unreachable'): AgentStatus['components'] {
  if (member === null) return [];
  const { node } = member;
  return [
    { name: 'check-runner', state: 'running', detail: `${Object.keys(node.checks().all).length} checks` },
    { name: 'handler-runner', state: 'running', detail: `rule ${node.main.rule}` },
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
    { name: 'iptables-restore', state: 'off', detail: `fence is PostgreSQL's own: ${node.fence.state}` },
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
