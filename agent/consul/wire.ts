/** Consul's JSON to our types and back; undefined where the JSON is not what it should be. */
import type {
  CheckStatus,
  HealthCheck,
  RaftServer,
  SerfMember,
  ServiceInstance,
  ServiceRegistration,
} from './port_catalog.ts';

export type Wire = Record<string, unknown>;

const isObject = (x: unknown): x is Wire => typeof x === 'object' && x !== null && !Array.isArray(x);
const text = (x: unknown): string => (typeof x === 'string' ? x : '');
const SERF_STATUS = ['none', 'alive', 'leaving', 'left', 'failed'] as const;

/** DeregisterCriticalServiceAfter stays unset on purpose: a node that is down must stay listed. */
export function registrationOf(service: ServiceRegistration): Wire {
  return {
    ID: service.id,
    Name: service.name,
    Address: service.address,
    Tags: service.tags,
    ...(service.port === undefined ? {} : { Port: service.port }),
    Checks: service.checks.map((check) => ({
      CheckID: check.id,
      Name: check.name,
      TTL: `${check.ttlMs}ms`,
      Status: check.status ?? 'critical',
    })),
  };
}

export function serfMemberOf(json: unknown): SerfMember | undefined {
  if (!isObject(json) || typeof json.Name !== 'string') return undefined;
  const tags = isObject(json.Tags) ? json.Tags : {};
  return {
    name: json.Name,
    address: text(json.Addr),
    status: SERF_STATUS[Number(json.Status)] ?? 'none',
    server: tags.role === 'consul',
    nodeId: text(tags.id),
  };
}

export function raftServersOf(json: unknown): readonly RaftServer[] | undefined {
  const servers = isObject(json) ? json.Servers : undefined;
  if (!Array.isArray(servers) || !servers.every(isObject)) return undefined;
  return servers.map((server) => ({
    id: text(server.ID),
    node: text(server.Node),
    address: text(server.Address),
    leader: server.Leader === true,
    voter: server.Voter === true,
  }));
}

function checkOf(json: Wire): HealthCheck {
  const status = text(json.Status);
  return {
    id: text(json.CheckID),
    name: text(json.Name),
    serviceId: text(json.ServiceID),
    status: status === 'passing' || status === 'warning' ? status : ('critical' satisfies CheckStatus),
    output: text(json.Output),
  };
}

export function instanceOf(json: unknown): ServiceInstance | undefined {
  if (!isObject(json)) return undefined;
  const { Node: node, Service: service, Checks: checks } = json;
  if (!isObject(node) || !isObject(service) || !Array.isArray(checks)) return undefined;
  return {
    node: text(node.Node),
    nodeAddress: text(node.Address),
    id: text(service.ID),
    name: text(service.Service),
    address: text(service.Address),
    port: Number(service.Port ?? 0),
    tags: Array.isArray(service.Tags) ? service.Tags.map(text) : [],
    checks: checks.filter(isObject).map(checkOf),
  };
}
