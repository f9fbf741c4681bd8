import type { Config } from '../config/index.ts';
import { POSTGRES_LOG_DIR } from '../trampoline/names.ts';
import { runFolders } from './folders.ts';
import { XTABLES_LOCK } from './names.ts';
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
 * The agent (log.file_limit) and the trampoline turn their own logs over. The server's is systemd's open file: it is copied
 * and cut.
 */
export function renderLogrotate(): string {
  const common = ['weekly', 'rotate 8', 'maxsize 50M', 'compress', 'missingok', 'notifempty'];
  const block = (dir: string, ...more: string[]) =>
    [`${dir}/*.log {`, ...[...common, ...more].map((line) => `    ${line}`), '}'].join('\n');
  return ["# Written by 'agent install'.", block(POSTGRES_LOG_DIR, 'su root root', 'copytruncate'), ''].join(
    '\n',
  );
}
