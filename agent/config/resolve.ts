import { dirname, join } from 'node:path';
import type { DriverName } from './consul.ts';
import type { FileConfig } from './schema.ts';

type Section<K extends keyof FileConfig> = FileConfig[K];

export interface Paths extends Omit<Section<'paths'>, 'diverged_dir' | 'socket'> {
  diverged_dir: string;
  socket: string;
}

export interface ConsulConfig extends Omit<Section<'consul'>, 'mode' | 'tls'> {
  mode: DriverName | 'external';
  tls: boolean;
}

export interface FilesConfig extends Omit<Section<'files'>, 'enabled' | 'keep_ownership'> {
  enabled: boolean;
  keep_ownership: boolean;
}

export interface FirewallConfig extends Omit<Section<'firewall'>, 'enabled'> {
  enabled: boolean;
}

/**
 * The configuration as the program uses it: snake_case as in the file, every default filled in, all durations
 * in **milliseconds**, all sizes in **bytes**. Frozen. `node_name` and `host_ip` may be absent until the node
 * starts or joins a cluster: see `NodeConfig`. Addresses that default to host_ip are asked for through
 * effective.ts, and so are the times that `check_ttl_multiplier` scales.
 */
export interface Config extends Omit<FileConfig, 'paths' | 'consul' | 'files' | 'firewall'> {
  paths: Paths;
  consul: ConsulConfig;
  files: FilesConfig;
  firewall: FirewallConfig;
}

/** A configuration of a node that has a name and an address. */
export interface NodeConfig extends Config {
  node_name: string;
  host_ip: string;
}

/** Fills in the defaults that follow from other keys. Pure. */
export function resolve(file: FileConfig): Config {
  const { paths, consul, files, firewall } = file;
  return {
    ...file,
    paths: {
      ...paths,
      diverged_dir: paths.diverged_dir ?? join(dirname(paths.state_dir), 'diverged'),
      socket: paths.socket ?? join(paths.run_dir, 'agent.sock'),
    },
    consul: { ...consul, mode: consul.mode ?? file.driver, tls: consul.tls ?? file.api.tls },
    files: {
      ...files,
      enabled: files.enabled ?? files.folders.length > 0,
      keep_ownership: files.keep_ownership ?? file.driver === 'systemd',
    },
    firewall: { ...firewall, enabled: firewall.enabled ?? file.driver === 'systemd' },
  };
}

/**
 * Freezes a tree of plain objects and arrays, so that nobody changes the configuration under somebody else.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) deepFreeze(child);
  }
  return value;
}
