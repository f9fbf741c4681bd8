/**
 * Who else is the agent's user. Whoever is it owns the cluster: sudo's one rule, the agent's socket, the
 * authority's key. So nothing else may run as it, log in as it, or be in its group. Pure; what is looked at
 * is in real_tenants.ts.
 */
import { type Group, parseGroup, parsePasswd, type User } from './accounts.ts';

export interface UnitText {
  /** File name: `mgmtworker.service`; of a drop-in the unit's. */
  readonly name: string;
  readonly text: string;
}

export interface Running {
  readonly pid: number;
  readonly uid: number;
  readonly command: string;
  /** Of a unit of ours, or started by our executable. */
  readonly ours: boolean;
}

export interface Surroundings {
  /** The texts of /etc/passwd, /etc/group and, where this user may read it, /etc/shadow. */
  readonly passwd: string;
  readonly group: string;
  readonly shadow: string | undefined;
  /** Of services, without those that are ours. */
  readonly units: readonly UnitText[];
  readonly processes: readonly Running[];
  /** Users with a table for cron, as far as this user may look. */
  readonly crontabs: readonly string[];
}

const NO_LOGIN = /\/(nologin|false|sync|halt|shutdown)$/;

const shellOf = (passwd: string, name: string): string =>
  passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([user]) => user === name)?.[6]
    ?.trim() ?? '';

/** `User=` of a service, the last one that counts. A specifier is not resolved: it names no fixed user. */
function userOf(text: string): string | undefined {
  let section = '';
  let user: string | undefined;
  for (const line of text.split('\n')) {
    const [, begun] = /^\s*\[(\w+)\]/.exec(line) ?? [];
    if (begun !== undefined) section = begun;
    const [, value] = /^\s*User\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (section === 'Service' && value !== undefined) user = value;
  }
  return user;
}

function unitsOf(names: readonly string[], units: readonly UnitText[]): string[] {
  const found = units.filter(({ text }) => names.includes(userOf(text) ?? '')).map(({ name }) => name);
  return [...new Set(found)].sort().map((name) => `${name} runs as it`);
}

function loginOf({ name }: User, { passwd, shadow, crontabs }: Surroundings): string[] {
  const shell = shellOf(passwd, name);
  const secret = shadow
    ?.split('\n')
    .map((line) => line.split(':'))
    .find(([user]) => user === name)?.[1];
  return [
    // An empty field is /bin/sh.
    ...(NO_LOGIN.test(shell) ? [] : [`it can log in: its shell is ${shell || '/bin/sh'}`]),
    ...(secret === undefined || /^[!*]/.test(secret) ? [] : ['it has a password']),
    ...(crontabs.includes(name) ? ['it has a crontab'] : []),
  ];
}

function companyOf(user: User, users: readonly User[], groups: readonly Group[]): string[] {
  const same = users.filter(({ name, uid }) => uid === user.uid && name !== user.name);
  const own = groups.filter(({ name }) => name === user.name);
  const members = own.flatMap(({ gid, members: listed }) => [
    ...listed,
    ...users.filter((other) => other.gid === gid).map(({ name }) => name),
  ]);
  const others = [...new Set(members)].filter(
    (name) => name !== user.name && !same.some((s) => s.name === name),
  );
  return [
    ...same.map(({ name }) => `user ${name} has the same number`),
    ...others.sort().map((name) => `user ${name} is in its group`),
  ];
}

const SHOWN = 3;

function processesOf(uid: number, processes: readonly Running[]): string[] {
  const found = processes.filter((one) => one.uid === uid && !one.ours);
  const shown = found.slice(0, SHOWN).map(({ command, pid }) => `${command} (${pid})`);
  const more = found.length > SHOWN ? ` and ${found.length - SHOWN} more` : '';
  return found.length === 0
    ? []
    : [`processes other than the cluster's run as it: ${shown.join(', ')}${more}`];
}

/** Why this user is not the agent's alone, each in words; empty when it is, also when it does not exist. */
export function tenantsOf(name: string, around: Surroundings): string[] {
  const users = parsePasswd(around.passwd);
  const user = users.find((one) => one.name === name);
  const names = user === undefined ? [name] : [name, String(user.uid)];
  if (user === undefined) return unitsOf(names, around.units);
  return [
    ...unitsOf(names, around.units),
    ...processesOf(user.uid, around.processes),
    ...loginOf(user, around),
    ...companyOf(user, users, parseGroup(around.group)),
  ];
}
