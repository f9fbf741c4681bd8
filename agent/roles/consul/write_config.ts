/** Writes the configuration of this node's Consul server. */
import { join } from 'node:path';
import type { NodeConfig } from '../../config/index.ts';
import { consulBind } from '../../config/index.ts';
import { AgentError } from '../../errors.ts';
import { writeDurably } from '../../platform/files.ts';
import { type ConsulSecurity, renderServerConfig } from './config.ts';

/** Throws operator `no_certificates` where Consul is to use TLS and there are none yet. */
export function writeConfig(
  config: NodeConfig,
  secured: ConsulSecurity | undefined,
  joined: readonly string[],
): void {
  const { consul } = config;
  if (consul.tls && secured === undefined) {
    throw new AgentError({
      class: 'operator',
      code: 'no_certificates',
      message: 'Consul must use TLS, but this node has no certificates',
      hint: `they are created at start and join, in ${config.paths.ssl_dir}`,
    });
  }
  const file = renderServerConfig({
    nodeName: config.node_name,
    bindAddr: consulBind(config),
    clientAddr: consul.http_address,
    httpsAddr: config.host_ip,
    dataDir: consul.data_dir,
    retryJoin: joined,
    datacenter: consul.datacenter,
    raftMultiplier: consul.raft_multiplier,
    ...(secured !== undefined ? { security: secured } : {}),
    ui: consul.ui,
    ports: {
      http: consul.http_port,
      server: consul.server_port,
      serfLan: consul.serf_port,
      ...(consul.dns_port === undefined ? {} : { dns: consul.dns_port }),
    },
  });
  writeDurably(join(consul.config_dir, file.name), file.content);
}
