import { join } from 'node:path';
import { stringify } from 'yaml';
import { type ConfigInput, makeConfig, merge } from '../../agent/config/index.ts';
import { writeAtomically } from '../../agent/platform/files.ts';
import { CLIENT, type DevNode, type DevSettings, PORTS } from './layout.ts';

/**
 * Only the one client role, and only in its own database: other users of this machine can reach loopback too.
 */
export const CLIENT_RULE = `host ${CLIENT.database} ${CLIENT.user} 127.0.0.0/8 trust`;

/** agent.yaml of one dev node: everything in its folder, children instead of units, no root. */
export function nodeConfig(node: DevNode, settings: DevSettings, user: string, binDir: string): ConfigInput {
  const base: ConfigInput = {
    node_name: node.name,
    host_ip: node.address,
    user,
    group: user,
    driver: 'child',
    manager: { edition: 'dev', version: '1.0' },
    paths: {
      executable: settings.program[0],
      state_dir: node.stateDir,
      diverged_dir: node.divergedDir,
      run_dir: node.runDir,
      log_file: join(node.logDir, 'cluster.log'),
      hooks_dir: join(node.dir, 'hooks'),
      ssl_dir: join(node.dir, 'ssl'),
      firewall_dir: join(node.dir, 'firewall'),
    },
    api: { port: PORTS.api, tls: false },
    consul: {
      data_dir: join(node.consulDir, 'data'),
      config_dir: join(node.consulDir, 'config'),
      http_address: node.address,
      http_port: PORTS.consul,
    },
    lease: { preset: settings.preset },
    postgres: {
      bin_dir: binDir,
      data_dir: node.pgData,
      port: PORTS.postgres,
      socket_dir: node.runDir,
      client_hba: [CLIENT_RULE],
      parameters: { shared_buffers: '32MB', max_wal_size: '256MB' },
    },
    services: [
      {
        name: 'mgmtworker',
        display_name: 'Demo worker',
        command: [...settings.program, 'dev', 'worker', '--host', node.address, '--node', node.name],
        active_only: true,
        start_timeout: '10s',
        stop_timeout: '5s',
      },
    ],
  };
  return settings.options === undefined
    ? base
    : (merge(base as Record<string, unknown>, settings.options) as ConfigInput);
}

/** Writes the file, after the agent's own schema has found nothing wrong with it. */
export function writeConfig(node: DevNode, config: ConfigInput): void {
  makeConfig(config, node.config);
  writeAtomically(node.config, `# Written by 'agent dev up'.\n${stringify(config)}`, 0o644);
}
