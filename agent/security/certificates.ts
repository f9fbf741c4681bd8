/** Which names and usages a node's certificates have, and making them with the cluster's authority. */

import { randomBytes } from 'node:crypto';
import type { NodeConfig } from '../config/index.ts';
import { nameInCertificates } from '../config/member.ts';
import { type Ca, createCa, createKeyAndRequest, NODE_DAYS, signRequest } from '../platform/tls/ca.ts';
import type { ClientTls } from '../platform/tls/fetch.ts';
import { serviceName } from './names.ts';
import { type Pair, SERVICES, type ServiceName } from './store.ts';

export interface NodeNames {
  readonly node: string;
  readonly hostIp: string;
  readonly publicIp: string | null;
  /** Of Consul: its servers know each other by `server.DATACENTER.consul`. */
  readonly datacenter: string;
}

export type PerService<T> = Record<ServiceName, T>;

/**
 * A name for each membership: a node that was removed and joins again is somebody else, and its earlier
 * certificate, which still verifies, is nobody's. With that of a service before it, it has room in a
 * certificate.
 */
export const newCommonName = (node: string): string =>
  `${nameInCertificates(node)}.${randomBytes(6).toString('hex')}`;

export const namesOf = (config: NodeConfig): NodeNames => ({
  node: config.node_name,
  hostIp: config.host_ip,
  publicIp: config.public_ip ?? null,
  datacenter: config.consul.datacenter,
});

export interface Making {
  readonly days?: number;
  /** All under the membership's name, for members that do not know the services' own. */
  readonly shared?: boolean;
}

function profile(
  service: ServiceName,
  names: NodeNames,
  membership: string,
  { days = NODE_DAYS, shared = false }: Making,
) {
  const { node, hostIp, publicIp, datacenter } = names;
  return {
    commonName: shared ? membership : serviceName(service, membership),
    names: [
      hostIp,
      ...(publicIp === null ? [] : [publicIp]),
      node,
      'localhost',
      '127.0.0.1',
      '::1',
      // Only Consul's own certificate makes a Consul server.
      ...(service === 'consul' ? [`server.${datacenter}.consul`] : []),
    ],
    usages: ['server', 'client'] as const,
    days,
  };
}

/** Signs the requests of one node. Throws usage `bad_request` for one that is none. */
export async function signNode(
  ca: Ca,
  requests: PerService<string>,
  names: NodeNames,
  membership: string,
  making: Making = {},
): Promise<PerService<string>> {
  const made: Partial<PerService<string>> = {};
  for (const service of SERVICES)
    made[service] = await signRequest(ca, requests[service], profile(service, names, membership, making));
  return made as PerService<string>;
}

/** A key and its request for each service. */
export async function newRequests(
  commonName: string,
): Promise<{ keys: PerService<string>; requests: PerService<string> }> {
  const keys: Partial<PerService<string>> = {};
  const requests: Partial<PerService<string>> = {};
  for (const service of SERVICES) {
    const made = await createKeyAndRequest(commonName);
    keys[service] = made.key;
    requests[service] = made.request;
  }
  return { keys: keys as PerService<string>, requests: requests as PerService<string> };
}

/** New keys and certificates for a node whose agent holds the authority. */
export async function issueOwn(
  ca: Ca,
  names: NodeNames,
  membership: string,
  making: Making = {},
): Promise<PerService<Pair>> {
  const { keys, requests } = await newRequests(membership);
  const certificates = await signNode(ca, requests, names, membership, making);
  return Object.fromEntries(
    SERVICES.map((service) => [service, { key: keys[service], certificate: certificates[service] }]),
  ) as PerService<Pair>;
}

/** Made at the first call and kept until the agent ends. */
export function temporaryTls(host: () => string | undefined): () => Promise<Required<ClientTls>> {
  let made: Promise<Required<ClientTls>> | undefined;
  const make = async () => {
    const ca = await createCa('none yet', 30);
    const names = { node: 'manager', hostIp: host() ?? '127.0.0.1', publicIp: null, datacenter: 'none' };
    const { agent } = await issueOwn(ca, names, 'manager in no cluster', { days: 30 });
    return { ca: ca.certificate, cert: agent.certificate, key: agent.key };
  };
  return () => {
    made ??= make();
    return made;
  };
}
