import { CHECK_NAMES, effectiveCheck } from './checks.ts';
import { isLoopback } from './effective.ts';
import { leaseProblems, scaleLease } from './lease.ts';
import { parameterProblems } from './parameters.ts';
import type { Problem } from './problems.ts';
import type { FileConfig } from './schema.ts';

/**
 * A check over more than one key, and the keys it reads: it is left out when one of these is wrong by itself.
 */
interface CrossCheck {
  readonly reads: readonly string[];
  readonly find: (config: FileConfig) => Problem[];
}

/** A socket's path is at most 107 bytes on Linux; longer ones fail only when the socket is made. */
const SOCKET_PATH_MAX = 107;

function lease({ lease, checks }: FileConfig): Problem[] {
  const factor = checks.check_ttl_multiplier;
  const asWritten = leaseProblems(lease);
  const problems = asWritten.length > 0 ? asWritten : leaseProblems(scaleLease(lease, factor));
  const scaled = asWritten.length > 0 ? '' : ` (scaled by check_ttl_multiplier ${factor})`;
  return problems.map(({ key, message }) => ({ path: `lease.${key}`, message: `${message}${scaled}` }));
}

function checkTimes({ checks }: FileConfig): Problem[] {
  return CHECK_NAMES.flatMap((name) => {
    const { every, ttl } = effectiveCheck(checks, name);
    const message = `must be longer than every, ${every} ms; with check_ttl_multiplier it is ${ttl} ms`;
    return ttl > every ? [] : [{ path: `checks.each.${name}.ttl`, message }];
  });
}

const repeated = (names: readonly string[], pathOf: (index: number) => string): Problem[] =>
  names.flatMap((name, index) =>
    names.indexOf(name) === index ? [] : [{ path: pathOf(index), message: `'${name}' is listed twice` }],
  );

function services({ services, driver }: FileConfig): Problem[] {
  const key = driver === 'child' ? 'command' : 'unit';
  const right = driver === 'child' ? 'a list of program and arguments' : 'the name of the unit';
  const missing = services.flatMap((service, index) =>
    service[key]
      ? []
      : [{ path: `services.${index}.${key}`, message: `is needed with 'driver: ${driver}': ${right}` }],
  );
  const names = services.map((service) => service.name);
  return [...missing, ...repeated(names, (index) => `services.${index}.name`)];
}

function folders({ files }: FileConfig): Problem[] {
  const ids = files.folders.map((folder) => folder.id);
  return repeated(ids, (index) => `files.folders.${index}.id`);
}

function tooLong(path: string, socket: string): Problem[] {
  const length = new TextEncoder().encode(socket).length;
  if (length <= SOCKET_PATH_MAX) return [];
  return [
    {
      path,
      message: `must be shorter: the socket ${socket} has ${length} bytes, the limit is ${SOCKET_PATH_MAX}`,
    },
  ];
}

const agentSocket = ({ paths }: FileConfig): Problem[] =>
  tooLong(
    paths.socket === undefined ? 'paths.run_dir' : 'paths.socket',
    paths.socket ?? `${paths.run_dir}/agent.sock`,
  );

const postgresSocket = ({ postgres }: FileConfig): Problem[] =>
  tooLong('postgres.socket_dir', `${postgres.socket_dir}/.s.PGSQL.${postgres.port}`);

const PORTS: readonly (readonly [string, (config: FileConfig) => number])[] = [
  ['api.port', (config) => config.api.port],
  ['consul.http_port', (config) => config.consul.http_port],
  ['consul.https_port', (config) => config.consul.https_port],
  ['consul.server_port', (config) => config.consul.server_port],
  ['consul.serf_port', (config) => config.consul.serf_port],
  ['postgres.port', (config) => config.postgres.port],
  ['files.port', (config) => config.files.port],
  ['files.rest_port', (config) => config.files.rest_port],
];

function ports(config: FileConfig): Problem[] {
  return PORTS.flatMap(([path, get], index) => {
    const other = PORTS.slice(0, index).find(([, earlier]) => earlier(config) === get(config));
    return other ? [{ path, message: `must differ from ${other[0]}: both are ${get(config)}` }] : [];
  });
}

const parameters = ({ postgres }: FileConfig): Problem[] => parameterProblems(postgres.parameters);

function minority({ allow_minority_mode, synchronous_mode }: FileConfig): Problem[] {
  if (!allow_minority_mode) return [];
  const message =
    synchronous_mode === 'strict'
      ? "must be false with 'synchronous_mode: strict': a node alone has nobody to confirm a write"
      : 'must be false: this version has no minority mode, and an isolated node fences itself';
  return [{ path: 'allow_minority_mode', message }];
}

/** Without TLS whoever reaches the port is believed: that is for managers that share one machine. */
function plain({ api, host_ip }: FileConfig): Problem[] {
  if (api.tls || host_ip === undefined || isLoopback(host_ip)) return [];
  const message = `must be left on: ${host_ip} can be reached from other machines (off only with a host_ip of 127.0.0.0/8 or ::1)`;
  return [{ path: 'api.tls', message }];
}

/**
 * Every member can connect as the replication role, and what it may is taken from it but for what copying
 * needs.
 */
function replicationUser({ postgres }: FileConfig): Problem[] {
  if (postgres.replication_user !== postgres.superuser) return [];
  const message = `must differ from postgres.superuser, which is '${postgres.superuser}': a role of the agent's own, like cloudify_replication`;
  return [{ path: 'postgres.replication_user', message }];
}

const CROSS_CHECKS: readonly CrossCheck[] = [
  { reads: ['lease', 'checks.check_ttl_multiplier'], find: lease },
  { reads: ['checks'], find: checkTimes },
  { reads: ['services', 'driver'], find: services },
  { reads: ['files.folders'], find: folders },
  { reads: ['paths.socket', 'paths.run_dir'], find: agentSocket },
  { reads: ['postgres.socket_dir', 'postgres.port'], find: postgresSocket },
  { reads: PORTS.map(([path]) => path), find: ports },
  { reads: ['postgres.parameters'], find: parameters },
  { reads: ['allow_minority_mode', 'synchronous_mode'], find: minority },
  { reads: ['api.tls', 'host_ip'], find: plain },
  { reads: ['postgres.replication_user', 'postgres.superuser'], find: replicationUser },
];

const touches = (a: string, b: string): boolean => `${a}.`.startsWith(`${b}.`) || `${b}.`.startsWith(`${a}.`);

/** `broken`: paths of keys that are wrong by themselves and hold a default here. */
export function crossProblems(config: FileConfig, broken: readonly string[] = []): Problem[] {
  return CROSS_CHECKS.filter(
    ({ reads }) => !reads.some((key) => broken.some((path) => touches(key, path))),
  ).flatMap(({ find }) => find(config));
}
