/** What sudo may do for whom: the trampoline, and nothing else. */
import type { Config } from '../config/index.ts';
import { POSTGRES_USER, UNITS } from '../trampoline/names.ts';
import { trampolinePath } from './names.ts';

/** The environment is the caller's choice, and BUN_BE_BUN or LD_PRELOAD in it would be a program of the caller's. */
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
