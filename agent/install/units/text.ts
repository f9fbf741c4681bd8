/** A systemd unit as text. */

/** A section's lines; undefined ones are left out. Keys may come more than once. */
export type Section = readonly (readonly [key: string, value: string | number] | undefined)[];

const section = (name: string, lines: Section): string =>
  [`[${name}]`, ...lines.flatMap((line) => (line ? [`${line[0]}=${line[1]}`] : []))].join('\n');

/** `install`: the target that wants it when it is enabled; none for units that are never enabled. */
export function unitText(unit: Section, service: Section, install?: string): string {
  const parts = [
    "# Written by 'agent install'; put your own settings in a drop-in (systemctl edit).",
    section('Unit', unit),
    section('Service', service),
    ...(install === undefined ? [] : [section('Install', [['WantedBy', install]])]),
  ];
  return `${parts.join('\n\n')}\n`;
}

const plain = /^[\w@%+=:,./-]+$/;

/** A command line as ExecStart reads it: no shell, but its own quotes, `%` and `$`. */
export const execLine = (argv: readonly string[]): string =>
  argv
    .map((word) => {
      const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
      return plain.test(escaped) ? escaped : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
    })
    .join(' ');

/** Paths in settings that hold a list of them. */
export const pathWord = (path: string): string => execLine([path]);

/**
 * Sandboxing for a service that never calls sudo. Not MemoryDenyWriteExecute: the executable compiles as it runs.
 */
export const SEALED: Section = [
  ['NoNewPrivileges', 'yes'],
  ['ProtectSystem', 'strict'],
  ['ProtectHome', 'yes'],
  ['PrivateTmp', 'yes'],
  ['PrivateDevices', 'yes'],
  ['ProtectHostname', 'yes'],
  ['ProtectClock', 'yes'],
  ['ProtectKernelTunables', 'yes'],
  ['ProtectKernelModules', 'yes'],
  ['ProtectKernelLogs', 'yes'],
  ['ProtectControlGroups', 'yes'],
  ['RestrictNamespaces', 'yes'],
  ['RestrictRealtime', 'yes'],
  ['RestrictSUIDSGID', 'yes'],
  ['LockPersonality', 'yes'],
  ['SystemCallArchitectures', 'native'],
  ['UMask', '0027'],
];
