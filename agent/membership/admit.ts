/**
 * Which managers may come in: what the active checks before it reserves a name and an address (PROTOCOL F.4).
 * Pure.
 */

import type { AdmitRequest } from '../api/types.ts';
import type { Policy } from '../core/policy.ts';
import type { JoiningRecord, NodeRecord, View } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import { isOlder, version } from '../version.ts';
import { reservationLife } from './reservation.ts';

/** A reservation counts for this long, in milliseconds, once somebody else wants its name or address. */
const RESERVATION = 15 * 60_000;

export const refuse = (code: string, message: string, hint?: string) =>
  new AgentError({ class: 'operator', code, message, ...(hint === undefined ? {} : { hint }) });

/** Throws what stands against the request. The same joiner may ask again. `now` is wall-clock time. */
export function refuseRequest(request: AdmitRequest, view: View | null, policy: Policy, now: number): void {
  const nodes = view?.nodes ?? {};
  // Consul, and PostgreSQL's list of voters, take m2 and M2 for one.
  const same = (name: string) => name.toLowerCase() === request.nodeName.toLowerCase();
  const taken = Object.keys(nodes).find(same);
  if (taken !== undefined)
    throw refuse(
      'name_taken',
      `there is a node named ${taken} already`,
      'choose another name, or remove that node first',
    );
  const other = Object.entries(nodes).find(([, record]) => record.hostIp === request.hostIp);
  if (other !== undefined)
    throw refuse(
      'address_taken',
      `${request.hostIp} is the address of node ${other[0]}`,
      'choose another address, or remove that node first',
    );
  for (const [name, { at, node }] of Object.entries(view?.joining ?? {})) {
    if (now - Date.parse(at) > RESERVATION) continue;
    if (name !== request.nodeName && node.hostIp === request.hostIp)
      throw refuse('address_taken', `${request.hostIp} is joining as ${name}`);
    if (same(name) && node.hostIp !== request.hostIp)
      throw refuse('name_taken', `${name} is joining from ${node.hostIp}`);
  }
  // Since there are times of the cluster, every agent goes by them; an older one would go by its file.
  if (isOlder(request.version, version)) refuseLease(request.lease, policy);
  if (majorMinor(request.version) !== majorMinor(version))
    throw refuse(
      'version_mismatch',
      `the cluster runs version ${version}, this manager ${request.version}`,
      'install the same version on both',
    );
}

function refuseLease(lease: AdmitRequest['lease'], policy: Policy): void {
  const { retryPeriod, renewDeadline, leaseDuration } = policy;
  const own = [retryPeriod, renewDeadline, leaseDuration].join('/');
  const asked = [lease.retryPeriod, lease.renewDeadline, lease.leaseDuration].join('/');
  if (own === asked) return;
  throw refuse(
    'lease_times_differ',
    `the cluster's lease is ${own} ms (retry_period, renew_deadline, lease_duration), this manager's ${asked}`,
    'set the same lease (preset and check_ttl_multiplier) in its agent.yaml',
  );
}

export function reservationOf(
  request: AdmitRequest,
  more: Partial<NodeRecord>,
  tokenLife?: number,
): JoiningRecord {
  const { hostIp, publicIp, apiPort, postgresPort, version, priority, nofailover } = request;
  return {
    schema: 1,
    at: new Date().toISOString(),
    lifeMs: reservationLife(tokenLife),
    node: {
      schema: 1,
      hostIp,
      publicIp,
      apiPort,
      postgresPort,
      version,
      options: { priority, nofailover, maintenance: false },
      ...(request.deviceId === undefined ? {} : { deviceId: request.deviceId }),
      ...more,
    },
  };
}

const majorMinor = (text: string): string => text.split('.').slice(0, 2).join('.');

/** Says where the active is, so that a joining manager can be sent on. */
export class NotActiveError extends AgentError {
  readonly active: { node: string; host: string; port: number } | null;
  constructor(active: { node: string; host: string; port: number } | null) {
    super({
      class: 'operator',
      code: 'not_cluster_master',
      message: 'this node is not the active',
      hint:
        active === null
          ? "no node is active right now: 'agent cluster status' says why"
          : `ask ${active.node} (${active.host})`,
    });
    this.active = active;
  }
  override toJSON() {
    return { ...super.toJSON(), ...(this.active === null ? {} : { active: this.active }) };
  }
}
