/** Names and addresses of a lab: everything it makes begins with its name, so that labs run side by side. */
import { join } from 'node:path';
import { cacheDir } from './host.ts';

export interface LabPaths {
  readonly name: string;
  /** Overlays, pids and the state of this lab. */
  readonly dir: string;
  /** Namespace with the bridge. */
  readonly bridge: string;
  /** Namespace of clients from outside. */
  readonly client: string;
}

const NAME = /^[a-z][a-z0-9-]{0,19}$/;

export function labPaths(name: string): LabPaths {
  if (!NAME.test(name))
    throw new Error(`lab name ${JSON.stringify(name)}: lower-case letters, digits, at most 20`);
  const prefix = `lab.${name}`;
  return { name, dir: join(cacheDir(), 'run', name), bridge: `${prefix}.bridge`, client: `${prefix}.client` };
}

export interface NodePlace {
  /** n1, n2, ... Also its host name. */
  readonly id: string;
  readonly ip: string;
  readonly ip6: string;
  readonly mac: string;
  readonly netns: string;
  /** Interface on the bridge. The other end is eth0. */
  readonly port: string;
  /** Machine name and cgroup: unique on the host. */
  readonly machine: string;
  readonly dir: string;
  readonly root: string;
  /** Namespace with the bridge. */
  readonly bridge: string;
}

/** The subnet is the same in every lab: each has its own namespaces. */
export const SUBNET = '10.77.0.0/24';
export const SUBNET6 = 'fd77::/64';
export const CLIENT = { ip: '10.77.0.200', ip6: 'fd77::200' };

export function nodePlace(paths: LabPaths, number: number): NodePlace {
  const dir = join(paths.dir, `n${number}`);
  return {
    id: `n${number}`,
    ip: `10.77.0.${10 + number}`,
    ip6: `fd77::${10 + number}`,
    mac: `02:77:00:00:00:${(10 + number).toString(16).padStart(2, '0')}`,
    netns: `lab.${paths.name}.n${number}`,
    port: `n${number}`,
    machine: `lab-${paths.name}-n${number}`,
    dir,
    root: join(dir, 'root'),
    bridge: paths.bridge,
  };
}
