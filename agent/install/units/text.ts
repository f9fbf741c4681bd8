/** A systemd unit as text. */
import { KEPT_OUT } from '../../platform/environment.ts';

/** A section's lines; undefined ones are left out. Keys may come more than once. */
export type Section = readonly (readonly [key: string, value: string | number] | undefined)[];

const section = (name: string, lines: Section): string =>
  [`[${name}]`, ...lines.flatMap((line) => (line ? [`${line[0]}=${line[1]}`] : []))].join('\n');

/** `install`: the target that wants it when it is enabled; none for units that are never enabled. */
export const unitText = (unit: Section, service: Section, install?: string): string =>
  textOf(unit, section('Service', service), install);

export const socketText = (unit: Section, socket: Section, install: string): string =>
  textOf(unit, section('Socket', socket), install);

function textOf(unit: Section, own: string, install: string | undefined): string {
  const parts = [
    "# Written by 'agent install'; put your own settings in a drop-in (systemctl edit).",
    section('Unit', unit),
    own,
    ...(install === undefined ? [] : [section('Install', [['WantedBy', install]])]),
  ];
  return `${parts.join('\n\n')}\n`;
}

const plain = /^[\w@%+=:,./-]+$/;

/** What systemd puts in for `%` and a letter, it puts in everywhere. */
export const literal = (text: string): string => text.replaceAll('%', '%%');

const quoted = (text: string): string =>
  plain.test(text) ? text : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** A command line as ExecStart reads it: no shell, but its own quotes, `%` and `$`. */
export const execLine = (argv: readonly string[]): string =>
  argv.map((word) => quoted(literal(word).replaceAll('$', '$$$$'))).join(' ');

/** A word of a setting that holds a list of them: paths, variables. Only command lines know `$`. */
export const pathWord = (path: string): string => quoted(literal(path));

/** Whatever the machine's service manager, or a drop-in for all, sets: members are reached directly. */
export const DIRECT: Section = [['UnsetEnvironment', KEPT_OUT.join(' ')]];

/** Costs nothing, and no program of the agent's needs it. */
const BOUND: Section = [
  ['RestrictNamespaces', 'yes'],
  ['RestrictRealtime', 'yes'],
  ['RestrictSUIDSGID', 'yes'],
  ['LockPersonality', 'yes'],
  ['SystemCallArchitectures', 'native'],
  ['SystemCallErrorNumber', 'EPERM'],
];

/** What none of ours needs, whatever it writes. */
const ENCLOSED: Section = [
  ['NoNewPrivileges', 'yes'],
  ['PrivateDevices', 'yes'],
  ['ProtectHostname', 'yes'],
  ['ProtectClock', 'yes'],
  ['ProtectKernelTunables', 'yes'],
  ['ProtectKernelLogs', 'yes'],
  ['ProtectControlGroups', 'yes'],
  ...BOUND,
];

const NEVER_CALLED = '@clock @cpu-emulation @debug @mount @obsolete @raw-io @reboot @swap';

/**
 * For a program that is started for each call. Everything that only hides or shuts a part of the file system
 * is left out, but for what the program could write: mounts took half of a call's time. System calls and
 * devices cost nothing.
 */
export const BRIEF: Section = [
  ['NoNewPrivileges', 'yes'],
  ['ProtectSystem', 'strict'],
  ['ProtectClock', 'yes'],
  ['DevicePolicy', 'closed'],
  ...BOUND,
  ['SystemCallFilter', `~${NEVER_CALLED} @module syslog sethostname setdomainname`],
  ['UMask', '0027'],
];

/** For a program of ours. Not MemoryDenyWriteExecute: the executable compiles as it runs. */
export const SEALED: Section = [
  ...ENCLOSED,
  ['SystemCallFilter', `~${NEVER_CALLED} @module`],
  ['ProtectKernelModules', 'yes'],
  ['ProtectSystem', 'strict'],
  ['ProtectHome', 'yes'],
  ['PrivateTmp', 'yes'],
  ['UMask', '0027'],
];

const within = (paths: readonly string[], ...places: string[]): boolean =>
  paths.some((path) => places.some((place) => path === place || path.startsWith(`${place}/`)));

/**
 * For the server and who works beside it, whose log archives, tables of extensions and scripts are the
 * manager's affair: it writes wherever its user may, but in what belongs to the system. Not
 * MemoryDenyWriteExecute: it may compile queries. Not RemoveIPC: its user has other programs. `written`,
 * `read`: paths that it must reach; nothing that they lie in is shut.
 */
export function sealedServer(written: readonly string[], read: readonly string[] = []): Section {
  return [
    ...ENCLOSED,
    ['SystemCallFilter', `~${NEVER_CALLED} @module`],
    ['ProtectKernelModules', 'yes'],
    ['ProtectSystem', within(written, '/usr', '/boot', '/etc') ? 'no' : 'full'],
    ['ProtectHome', within([...written, ...read], '/home', '/root', '/run/user') ? 'no' : 'yes'],
    ['PrivateTmp', within([...written, ...read], '/tmp', '/var/tmp') ? 'no' : 'yes'],
    ['ProtectProc', 'invisible'],
    ['CapabilityBoundingSet', ''],
    ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
  ];
}

/**
 * For plain programs of root's that load rules before the network. Nothing here that needs a mount namespace:
 * while a machine boots and mounts, making one failed (seen), and the rules that shut everybody out were not
 * loaded. They may load modules: iptables does, where it is not nft's.
 */
export const RULE_LOADER: Section = [
  ['NoNewPrivileges', 'yes'],
  ['ProtectHostname', 'yes'],
  ['ProtectClock', 'yes'],
  ['RestrictNamespaces', 'yes'],
  ['RestrictRealtime', 'yes'],
  ['RestrictSUIDSGID', 'yes'],
  ['LockPersonality', 'yes'],
  ['MemoryDenyWriteExecute', 'yes'],
  ['SystemCallArchitectures', 'native'],
  ['SystemCallErrorNumber', 'EPERM'],
  ['SystemCallFilter', `~${NEVER_CALLED}`],
  ['CapabilityBoundingSet', 'CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_MODULE'],
  ['RestrictAddressFamilies', 'AF_UNIX AF_NETLINK AF_INET AF_INET6'],
  ['DevicePolicy', 'closed'],
  ['UMask', '0077'],
];
