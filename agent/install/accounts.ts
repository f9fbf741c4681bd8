import type { Config } from '../config/index.ts';
import { POSTGRES_LOG_DIR, POSTGRES_USER, UNITS } from '../trampoline/names.ts';
import { runFolders } from './folders.ts';
import { trampolinePath, XTABLES_LOCK } from './names.ts';
import { pathWord } from './units/text.ts';

/** /etc/passwd and /etc/group as data. */

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const lines = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => /^[^#+-]/.test(line))
    .map((line) => line.split(':'));

export const parsePasswd = (text: string): User[] =>
  lines(text).map(([name = '', , uid, gid, , home = '/']) => ({
    name,
    uid: Number(uid),
    gid: Number(gid),
    home,
  }));

export const parseGroup = (text: string): Group[] =>
  lines(text).map(([name = '', , gid, members = '']) => ({
    name,
    gid: Number(gid),
    members: members.split(',').filter(Boolean),
  }));

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

export function renderTmpfiles(config: Config): string {
  const lines = runFolders(config).map(
    ({ path, mode, owner, group }) => `d ${pathWord(path)} ${octal(mode)} ${owner} ${group} -`,
  );
  return ["# Written by 'agent install'.", ...lines, `f ${XTABLES_LOCK} 0600 root root -`, ''].join('\n');
}

/**
 * The agent (log.file_limit) and the trampoline turn their own logs over. The server's is systemd's open
 * file: it is copied and cut.
 */
export function renderLogrotate(): string {
  const common = ['weekly', 'rotate 8', 'maxsize 50M', 'compress', 'missingok', 'notifempty'];
  const block = (dir: string, ...more: string[]) =>
    [`${dir}/*.log {`, ...[...common, ...more].map((line) => `    ${line}`), '}'].join('\n');
  return ["# Written by 'agent install'.", block(POSTGRES_LOG_DIR, 'su root root', 'copytruncate'), ''].join(
    '\n',
  );
}

/**
 * The environment is the caller's choice, and BUN_BE_BUN or LD_PRELOAD in it would be a program of the
 * caller's.
 */
const DEFAULTS = [
  'env_reset',
  '!setenv',
  '!env_keep',
  '!env_check',
  'secure_path="/usr/sbin:/usr/bin:/sbin:/bin"',
  'runcwd=/',
  'umask=0022',
  'umask_override',
  '!requiretty',
  '!use_pty',
  '!lecture',
];

const POSTGRES_VERBS = ['start', 'stop', 'kill'] as const;

/** A path in sudoers: blanks, commas, colons, equal signs and backslashes need one backslash. */
const escaped = (path: string): string => path.replace(/[\\ ,:=*?[\]!]/g, (c) => `\\${c}`);

export function renderSudoers(config: Config): string {
  const trampoline = escaped(trampolinePath(config));
  const calls = POSTGRES_VERBS.map((verb) => `${trampoline} service ${verb} ${UNITS.postgres}`);
  const users = [config.user, POSTGRES_USER];
  return [
    "# Written by 'agent install'.",
    ...users.map((user) => `Defaults:${user} ${DEFAULTS.join(', ')}`),
    `${config.user} ALL=(root:root) NOPASSWD: ${trampoline}`,
    `${POSTGRES_USER} ALL=(root:root) NOPASSWD: ${calls.join(', ')}`,
    '',
  ].join('\n');
}
