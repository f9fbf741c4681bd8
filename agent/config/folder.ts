import { join } from 'node:path';
import { merge } from './options.ts';
import type { ConfigInput } from './schema.ts';

/**
 * The configuration of a node that keeps everything in one folder, as the dev cluster and tests do: children
 * instead of units, no TLS, no users. `over` is laid on top.
 */
export function folderConfig(
  dir: string,
  node: { node_name: string; host_ip: string },
  over: ConfigInput = {},
): ConfigInput {
  const base: ConfigInput = {
    ...node,
    driver: 'child',
    paths: {
      config: join(dir, 'agent.yaml'),
      state_dir: join(dir, 'agent'),
      run_dir: join(dir, 'run'),
      log_file: join(dir, 'log', 'agent.log'),
      hooks_dir: join(dir, 'hooks'),
      ssl_dir: join(dir, 'ssl'),
      firewall_dir: join(dir, 'firewall'),
    },
    api: { tls: false },
    consul: { data_dir: join(dir, 'consul'), config_dir: join(dir, 'consul.d'), http_address: node.host_ip },
    postgres: { data_dir: join(dir, 'postgres'), socket_dir: join(dir, 'run') },
    files: { enabled: false, home_dir: join(dir, 'syncthing'), rest_address: node.host_ip },
  };
  return merge(base as Record<string, unknown>, over as Record<string, unknown>) as ConfigInput;
}
