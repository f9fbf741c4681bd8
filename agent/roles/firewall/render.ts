/**
 * What root keeps in the rules' folder, how it is brought into the kernel at boot, and how all of it goes
 * again. Pure.
 */

import { join } from 'node:path';
import type { Config } from '../../config/index.ts';
import { ALL_SETS, FIREWALL_ROLES, SET_CLIENT, SET_LEASE, SET_PEERS } from '../../trampoline/names.ts';
import { bootFile, FAMILIES, HOOKS, roleFile, SETS_FILE } from './names.ts';
import { type RulePorts, renderBoot, renderRules } from './rules.ts';

/** Ports that are shut unless this node is the active. */
export const clientPorts = ({ firewall, postgres }: Config): number[] =>
  [...new Set([...firewall.client_ports, postgres.port])].sort((a, b) => a - b);

export function rulePorts({ postgres, api, consul, files }: Config): RulePorts {
  const serfWan = consul.serf_port + 1;
  return {
    postgres: postgres.port,
    api: api.port,
    memberTcp: [
      consul.server_port,
      consul.serf_port,
      serfWan,
      consul.https_port,
      ...(files.enabled ? [files.port] : []),
    ],
    memberUdp: [consul.serf_port, serfWan, ...(files.enabled ? [files.port] : [])],
  };
}

export interface RenderedFile {
  readonly name: string;
  readonly content: string;
}

/** All files of firewall_dir. */
export function firewallFiles(config: Config): RenderedFile[] {
  const ports = rulePorts(config);
  return [
    { name: SETS_FILE, content: renderSets(clientPorts(config)) },
    ...FAMILIES.flatMap((family) => [
      ...FIREWALL_ROLES.map((role) => ({
        name: roleFile(role, family),
        content: renderRules(role, family, ports),
      })),
      { name: bootFile(family), content: renderBoot(family, ports) },
    ]),
  ];
}

/**
 * Command lines of the boot unit, in order; the first that fails ends it. Plain programs: they work whatever
 * state our own executable is in, and start faster.
 */
export function bootExec(config: Config): string[][] {
  const file = (name: string) => join(config.paths.firewall_dir, name);
  return [
    ['/usr/sbin/ipset', 'restore', '-exist', '-file', file(SETS_FILE)],
    ['/usr/sbin/iptables-restore', '--noflush', '--wait', '5', file(bootFile('v4'))],
    ['/usr/sbin/ip6tables-restore', '--noflush', '--wait', '5', file(bootFile('v6'))],
  ];
}

/** What gives the manager back to its own rules, when the boot unit is stopped. Each may fail. */
export const bootStopExec = (): string[][] =>
  ['/usr/sbin/iptables', '/usr/sbin/ip6tables'].flatMap((program) =>
    HOOKS.map(([builtin, chain]) => [program, '-w', '5', '-D', builtin, '-j', chain]),
  );

/**
 * Takes everything of ours out of the kernel, and nothing else. Each may fail where there is nothing to
 * remove. A hook may be there more than once: its line is to be repeated until it fails.
 */
export function removalCommands(): { readonly argv: readonly string[]; readonly repeat: boolean }[] {
  const once = (...argv: string[]) => ({ argv, repeat: false });
  return [
    ...['iptables', 'ip6tables'].flatMap((program) => [
      ...HOOKS.map(([builtin, chain]) => ({
        argv: [program, '-w', '5', '-D', builtin, '-j', chain],
        repeat: true,
      })),
      ...HOOKS.map(([, chain]) => once(program, '-w', '5', '-F', chain)),
      ...HOOKS.map(([, chain]) => once(program, '-w', '5', '-X', chain)),
    ]),
    ...ALL_SETS.map((set) => once('ipset', 'destroy', set)),
  ];
}

/** The lease set's own default timeout is what an entry without one would get: as short as it can be said. */
export function renderSets(clientPorts: readonly number[]): string {
  return [
    `create ${SET_LEASE} bitmap:port range 0-65535 timeout 1`,
    `create ${SET_CLIENT} bitmap:port range 0-65535`,
    `create ${SET_PEERS.v4} hash:ip family inet`,
    `create ${SET_PEERS.v6} hash:ip family inet6`,
    `flush ${SET_CLIENT}`,
    ...[...new Set(clientPorts)].map((port) => `add ${SET_CLIENT} ${port}`),
    '',
  ].join('\n');
}
