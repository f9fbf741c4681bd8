/** The check-runner of a node in a cluster: what the checks may read, from the core's memory. */
import { certificates } from '../checks/certificates.ts';
import { type Checks, createChecks } from '../checks/create.ts';
import type { NodeRole } from '../checks/port.ts';
import type { NodeConfig } from '../config/index.ts';
import { remaining } from '../core/lease_view.ts';
import type { Logger } from '../log/log.ts';
import type { Files } from '../roles/files/port.ts';
import { expiries } from '../security/renew.ts';
import type { Member } from './member.ts';

/**
 * While main does one of these, services are on their way up or down: no result is better than a wrong one.
 */
const CHANGING = new Set([
  'promote',
  'finish_promotion',
  'found',
  'reopen',
  'start_in_place',
  'handover',
  'release',
  'fence_down',
  'services_up',
  'services_down',
  'repair',
]);

export function checksOf(config: NodeConfig, member: Member, files: Files, log: Logger): Checks {
  const { node } = member;
  const role = (): NodeRole => {
    if (node.db.facts === null || node.fence.running > 0) return 'none';
    if (remaining(node.lease, node.now()) > 0 && node.db.facts.role === 'primary') return 'active';
    return node.db.facts.role === 'standby' ? 'standby' : 'none';
  };
  return createChecks({
    config,
    log,
    catalog: member.consul.catalog,
    ...(files.enabled ? { files } : {}),
    readers: {
      role,
      pgFacts: () => (node.db.facts === null ? null : { facts: node.db.facts, at: node.db.at }),
      activeHost: () => node.view?.nodes[node.lease.record?.holder ?? '']?.hostIp || null,
      fence: () => node.fence.state,
      services: () =>
        // Started beside main, in order, each within its own time: in the first try none of them is missing
        // yet.
        (node.services.starting && node.services.repairs <= 1) ||
        (node.main.acting !== null && CHANGING.has(node.main.acting))
          ? 'changing'
          : (member.last()?.facts.services ?? null),
      lastBeat: () => node.main.tickAt,
    },
    more: config.api.tls
      ? [
          certificates(
            () => expiries(config),
            config.checks.certificate_warning,
            () => Date.now(),
          ),
        ]
      : [],
  });
}
