import * as v from 'valibot';
import { absolutePath, choice, flag, integer, listenAddress, port, text } from './fields.ts';
import { section } from './group.ts';
import { memberAddress } from './member.ts';

export const DRIVERS = ['systemd', 'child'] as const;
export type DriverName = (typeof DRIVERS)[number];

/** `consul:` in the file. */
export const consulSchema = section({
  /** How the local server is run; `external`: somebody else does. Left out: as `driver` says. */
  mode: v.optional(choice(['child', 'systemd', 'external'])),
  /** Left out: found in PATH. */
  binary: v.optional(absolutePath()),
  data_dir: v.optional(absolutePath(), '/var/lib/cloudify/consul'),
  config_dir: v.optional(absolutePath(), '/etc/cloudify/consul'),
  /**
   * Where plain HTTP listens in a cluster without TLS, and where a server that somebody else runs is asked.
   * Else only DNS is here.
   */
  http_address: v.optional(listenAddress(), '127.0.0.1'),
  http_port: v.optional(port(), 8500),
  /** With TLS the only API: on host_ip, for the node's own agent too. */
  https_port: v.optional(port(), 8501),
  /** Consul's own web page and DNS: off unless asked for. */
  ui: v.optional(flag(), false),
  dns_port: v.optional(port()),
  server_port: v.optional(port(), 8300),
  serf_port: v.optional(port(), 8301),
  /** Left out: host_ip. */
  bind: v.optional(memberAddress()),
  raft_multiplier: v.optional(integer(1, 10), 1),
  /** Other servers' HTTP APIs, `host:port`, tried in turn when the local one does not answer. */
  peers: v.optional(
    v.array(v.pipe(text(), v.regex(/^\[?[\w.:-]+\]?:\d{1,5}$/, 'must be host:port')), 'must be a list'),
    [],
  ),
  /** The root of all keys. */
  prefix: v.optional(
    v.pipe(text(), v.regex(/^[\w/-]*[\w-]$/, 'must not begin or end with /')),
    'cloudify/cluster',
  ),
  datacenter: v.optional(
    v.pipe(text(), v.regex(/^[a-z0-9_-]+$/, 'must be lower-case letters, digits, _ or -')),
    'cloudify',
  ),
  /** TLS between servers, encrypted gossip, and tokens. Left out: as `api.tls`. */
  tls: v.optional(flag()),
  /** ACL token for a server that somebody else runs: a secret. */
  token: v.optional(text()),
});
