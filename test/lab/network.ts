/**
 * The lab's wires: a bridge in a namespace of its own, one namespace per VM and one for clients. Cuts are
 * made on the bridge, outside the VMs, so that they never mix with rules that the agent sets inside.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, must } from './host.ts';
import { CLIENT, type LabPaths, type NodePlace } from './names.ts';

interface Port {
  readonly bridge: string;
  readonly port: string;
  readonly netns: string;
  readonly ip: string;
  readonly ip6: string;
  readonly mac?: string;
}

async function addPort({ bridge, port, netns, ip, ip6, mac }: Port): Promise<void> {
  const inside = ['ip', '-n', netns];
  await must(['ip', 'netns', 'add', netns]);
  await must([
    'ip',
    '-n',
    bridge,
    'link',
    'add',
    port,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    netns,
  ]);
  if (mac) await must([...inside, 'link', 'set', 'eth0', 'address', mac]);
  await must([...inside, 'link', 'set', 'lo', 'up']);
  await must([...inside, 'link', 'set', 'eth0', 'up']);
  await must([...inside, 'addr', 'add', `${ip}/24`, 'dev', 'eth0']);
  await must([...inside, 'addr', 'add', `${ip6}/64`, 'dev', 'eth0', 'nodad']);
  await must(['ip', '-n', bridge, 'link', 'set', port, 'up']);
}

const cable = (node: NodePlace) => join(node.dir, 'unplugged');

export async function unplug(node: NodePlace): Promise<void> {
  writeFileSync(cable(node), '');
  await must(['ip', '-n', node.bridge, 'link', 'set', node.port, 'nomaster']);
}

/** Does nothing for a VM that is off: it gets its cable at the next boot. */
export async function plug(node: NodePlace): Promise<void> {
  rmSync(cable(node), { force: true });
  if (!existsSync(`/run/netns/${node.netns}`)) return;
  await must(['ip', '-n', node.bridge, 'link', 'set', node.port, 'master', 'br0']);
}

/**
 * The VM's network as a boot finds it: no rule, set or connection of its former life. A cut-off VM stays cut
 * off.
 */
export async function freshPort(node: NodePlace): Promise<void> {
  dropPort(node);
  await addPort(node);
  if (!existsSync(cable(node))) await plug(node);
}

/**
 * Silence at once, before anything in the VM ends: a dead machine sends no last packets and refuses no
 * connection.
 */
export async function silence(node: NodePlace): Promise<void> {
  await must(['ip', '-n', node.bridge, 'link', 'set', node.port, 'nomaster']);
}

/** After the last process of the VM. The interface by itself: the kernel takes its time with a namespace. */
export function dropPort(node: NodePlace): void {
  attempt('ip', '-n', node.bridge, 'link', 'del', node.port);
  attempt('ip', 'netns', 'del', node.netns);
}

/** The bridge and the clients; each VM gets its port when it boots. */
export async function makeNetwork({ bridge, client }: LabPaths): Promise<void> {
  await must(['ip', 'netns', 'add', bridge]);
  await must(['ip', '-n', bridge, 'link', 'set', 'lo', 'up']);
  await must([
    'ip',
    '-n',
    bridge,
    'link',
    'add',
    'br0',
    'type',
    'bridge',
    'stp_state',
    '0',
    'forward_delay',
    '0',
  ]);
  await must(['ip', '-n', bridge, 'link', 'set', 'br0', 'up']);
  await addPort({ bridge, port: 'client', netns: client, ...CLIENT });
  await must(['ip', '-n', bridge, 'link', 'set', 'client', 'master', 'br0']);
  for (const tables of ['iptables', 'ip6tables']) {
    await must(within(bridge, [tables, '-w', '-N', 'CUTS']));
    await must(within(bridge, [tables, '-w', '-A', 'FORWARD', '-j', 'CUTS']));
  }
}

/** A command in a network namespace, and in nothing else of it. */
export const within = (netns: string, argv: readonly string[]): string[] => [
  'nsenter',
  `--net=/run/netns/${netns}`,
  '--',
  ...argv,
];

/** What a cut stops. Left out means any. `client` is the namespace of outside clients. */
export interface Cut {
  readonly from?: string;
  readonly to?: string;
  /** TCP and UDP port at either end of a connection, in the direction that `from` and `to` name. */
  readonly port?: number;
}

function rulesOf(cut: Cut): string[][] {
  const ends = [
    ...(cut.from ? ['--physdev-in', cut.from] : []),
    ...(cut.to ? ['--physdev-out', cut.to] : []),
  ];
  const where = ends.length > 0 ? ['-m', 'physdev', ...ends] : [];
  if (cut.port === undefined) return [[...where, '-j', 'DROP']];
  return ['tcp', 'udp'].flatMap((protocol) =>
    ['--dport', '--sport'].map((end) => [...where, '-p', protocol, end, String(cut.port), '-j', 'DROP']),
  );
}

/** Stops what matches, also within established connections, without a word to either end. */
export async function addCut(paths: LabPaths, cut: Cut): Promise<void> {
  for (const tables of ['iptables', 'ip6tables']) {
    for (const rule of rulesOf(cut)) await must(within(paths.bridge, [tables, '-w', '-A', 'CUTS', ...rule]));
  }
}

export async function clearCuts(paths: LabPaths): Promise<void> {
  for (const tables of ['iptables', 'ip6tables'])
    await must(within(paths.bridge, [tables, '-w', '-F', 'CUTS']));
}

/** Removes every namespace of the lab, whatever is there. The interfaces go with them. */
export function removeNetwork(namespaces: readonly string[]): void {
  for (const netns of namespaces) attempt('ip', 'netns', 'del', netns);
}
