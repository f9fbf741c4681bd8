import { chownSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { AgentError } from '../../agent/errors.ts';
import { which } from '../../agent/platform/paths.ts';

/**
 * Whom the dev cluster runs as. PostgreSQL refuses root, so root lends it to the user that its package made.
 */
export interface DevUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** True: the caller itself; nothing to switch. */
  readonly self: boolean;
}

const ROOTS_USER = 'postgres';

function account(field: 0 | 2, value: string): string[] | undefined {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields[field] === value);
}

export function devUser(): DevUser {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (uid !== 0) return { name: account(2, String(uid))?.[0] ?? String(uid), uid, gid, self: true };
  const found = account(0, ROOTS_USER);
  if (!found) {
    throw new AgentError({
      class: 'operator',
      code: 'no_user',
      message: `there is no user ${ROOTS_USER}, and PostgreSQL does not run as root`,
      hint: 'install PostgreSQL, or run this as an ordinary user',
    });
  }
  if (which('setpriv') === undefined) {
    throw new AgentError({
      class: 'operator',
      code: 'no_setpriv',
      message: `setpriv is needed to run the cluster as ${ROOTS_USER}`,
      hint: 'install util-linux, or run this as an ordinary user',
    });
  }
  return { name: ROOTS_USER, uid: Number(found[2]), gid: Number(found[3]), self: false };
}

/**
 * The command line that runs `command` as this user. setpriv ends in an exec: the pid is the program's own.
 */
export function asUser(user: DevUser, command: readonly string[]): [string, ...string[]] {
  const [program = '', ...args] = command;
  if (user.self) return [program, ...args];
  const switching = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--no-new-privs'];
  return ['setpriv', ...switching, '--', program, ...args];
}

export function giveTo(user: DevUser, path: string): void {
  if (!user.self) chownSync(path, user.uid, user.gid);
}
