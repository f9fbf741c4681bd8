/** The configuration files of one node's Consul server. Pure: the same for VMs and for the dev cluster. */

import { GO_SUITES } from '../../platform/tls/suites.ts';

/** Mutual TLS for everything between servers, encrypted gossip, and access by token only. */
export interface ConsulSecurity {
  /** Paths that Consul's user may read. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  /** 32 bytes in base64. */
  readonly gossipKey: string;
  readonly tokens: { readonly management: string; readonly node: string };
  /** Of the HTTPS API, which is then the only one. Default 8501. */
  readonly httpsPort?: number;
}

export interface ConsulServerNode {
  readonly nodeName: string;
  /** Address of Raft, Serf and server RPC. */
  readonly bindAddr: string;
  /** Address of plain HTTP, where there is no `security`, and of DNS. */
  readonly clientAddr: string;
  /**
   * Address of HTTPS, which the node's own agent and the others ask: the one in its certificate. Left out:
   * `bindAddr`.
   */
  readonly httpsAddr?: string;
  readonly dataDir: string;
  /** Addresses of all members, this one included or not; empty for the first. */
  readonly retryJoin: readonly string[];
  readonly datacenter?: string;
  /** 1 (quick elections) to 10. Default 1. */
  readonly raftMultiplier?: number;
  readonly logLevel?: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  readonly security?: ConsulSecurity;
  /** Its web page, where the API is. Default off. */
  readonly ui?: boolean;
  /** `dns`: off without. */
  readonly ports?: {
    readonly http?: number;
    readonly server?: number;
    readonly serfLan?: number;
    readonly dns?: number;
  };
}

export interface RenderedFile {
  readonly name: string;
  readonly content: string;
}

export const SERVER_FILE = '10-server.json';
/** Only for the very first server of a cluster, and only until it has a leader: then it must be deleted. */
export const BOOTSTRAP_FILE = '90-bootstrap.json';

const AUTOPILOT = { cleanup_dead_servers: false, server_stabilization_time: '0s' };
/** Serf forgets a node that is down after 72 h otherwise, and Raft with it. Ten years. */
const NEVER = '87600h';

const render = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/**
 * Names as Consul 1.8 has them; later versions take them too, and say in their log what they are called now.
 */
function renderSecurity({ tls, gossipKey, tokens }: ConsulSecurity, httpsAddr: string) {
  return {
    addresses: { https: httpsAddr },
    ca_file: tls.ca,
    cert_file: tls.cert,
    key_file: tls.key,
    verify_incoming: true,
    verify_outgoing: true,
    // A certificate that is not for server.DATACENTER.consul, such as a client's, makes no server.
    verify_server_hostname: true,
    tls_min_version: 'tls12',
    tls_cipher_suites: GO_SUITES,
    encrypt: gossipKey,
    // Without it a keyring file in the data folder wins over the key above, also after a rotation this server
    // missed.
    disable_keyring_file: true,
    acl: {
      enabled: true,
      default_policy: 'deny',
      // Tokens that were good go on being so while no leader can be asked.
      down_policy: 'extend-cache',
      // In the file and not by the bootstrap call, which cannot be repeated.
      // A server that is not enrolled yet has none: the cluster's exists already.
      tokens: {
        ...(tokens.management === '' ? {} : { master: tokens.management }),
        agent: tokens.node,
      },
    },
  };
}

export function renderServerConfig(node: ConsulServerNode): RenderedFile {
  const content = render({
    server: true,
    node_name: node.nodeName,
    datacenter: node.datacenter ?? 'cloudify',
    data_dir: node.dataDir,
    bind_addr: node.bindAddr,
    client_addr: node.clientAddr,
    // Without it a node that is started alone would wait for others that it was told of only once.
    retry_join: node.retryJoin.filter((address) => address !== node.bindAddr),
    retry_interval: '2s',
    rejoin_after_leave: true,
    // A stopped server is a server that comes back: only an explicit removal takes it out of Raft.
    leave_on_terminate: false,
    skip_leave_on_interrupt: true,
    reconnect_timeout: NEVER,
    reconnect_timeout_wan: NEVER,
    performance: { raft_multiplier: node.raftMultiplier ?? 1 },
    // Read at the bootstrap only; afterwards the API's word counts (autopilot.ts).
    autopilot: AUTOPILOT,
    ports: {
      // With tokens there is no plain HTTP: while this server is down, whoever took the port would be sent
      // them.
      http: node.security === undefined ? (node.ports?.http ?? 8500) : -1,
      server: node.ports?.server ?? 8300,
      serf_lan: node.ports?.serfLan ?? 8301,
      // One datacenter: no WAN gossip, and no mesh.
      serf_wan: -1,
      grpc: -1,
      dns: node.ports?.dns ?? -1,
      ...(node.security === undefined ? {} : { https: node.security.httpsPort ?? 8501 }),
    },
    ...(node.security === undefined ? {} : renderSecurity(node.security, node.httpsAddr ?? node.bindAddr)),
    // Doors that nobody asked for stay shut.
    ui: node.ui ?? false,
    disable_update_check: true,
    disable_remote_exec: true,
    enable_script_checks: false,
    log_level: node.logLevel ?? 'warn',
  });
  return { name: SERVER_FILE, content };
}

export function renderBootstrapConfig(): RenderedFile {
  return { name: BOOTSTRAP_FILE, content: render({ bootstrap_expect: 1 }) };
}
