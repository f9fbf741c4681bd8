import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { sep } from 'node:path';

/** What /proc says of one process; `undefined` from the readers below means that there is none. */
export interface ProcessStat {
  readonly pid: number;
  readonly command: string;
  /** One letter: R, S, D, T (stopped), Z (zombie), X (dead). */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot. With the pid it names one process for good, until the next boot. */
  readonly startTime: number;
}

export function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  return parseStat(text);
}

/** The command stands in parentheses and may hold any character, so count from the last one. */
export function parseStat(text: string): ProcessStat | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text.slice(close + 2).split(' ');
  const at = (field: number) => Number(fields[field - 3]);
  return {
    pid: Number.parseInt(text, 10),
    command: text.slice(open + 1, close),
    state: fields[0] ?? 'X',
    parent: at(4),
    group: at(5),
    session: at(6),
    startTime: at(22),
  };
}

const isDead = (state: string) => state === 'Z' || state === 'X' || state === 'x';

/**
 * Is this very process there? A zombie counts as dead, and so does another process under a used pid when
 * `startTime` is given. Costs one small read.
 */
export function alive(pid: number, startTime?: number): boolean {
  const stat = readStat(pid);
  if (!stat || isDead(stat.state)) return false;
  return startTime === undefined || stat.startTime === startTime;
}

export function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Living processes of a process group. Reads all of /proc: not for every tick. */
export function groupMembers(group: number): number[] {
  return allPids().filter((pid) => {
    const stat = readStat(pid);
    return stat !== undefined && stat.group === group && !isDead(stat.state);
  });
}

/**
 * Living processes whose working directory is `dir` or lies in it. A PostgreSQL server and all its children
 * work in their data directory, so an empty answer confirms that nothing of it is left, as far as this user
 * may look. Reads all of /proc.
 */
export function processesIn(dir: string): ProcessStat[] {
  const inside = `${dir}${sep}`;
  return allPids().flatMap((pid) => {
    let cwd: string;
    try {
      cwd = readlinkSync(`/proc/${pid}/cwd`);
    } catch {
      return [];
    }
    if (cwd !== dir && cwd !== `${dir} (deleted)` && !cwd.startsWith(inside)) return [];
    const stat = readStat(pid);
    return stat && !isDead(stat.state) ? [stat] : [];
  });
}

/** Living processes with `NAME=value` in the environment they were started with, oldest first. */
export function processesWithEnv(name: string, value: string): ProcessStat[] {
  const wanted = `${name}=${value}`;
  const found = allPids().flatMap((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
      if (!environment.includes(wanted)) return [];
    } catch {
      return [];
    }
    const stat = readStat(pid);
    return stat && !isDead(stat.state) ? [stat] : [];
  });
  return found.sort((a, b) => a.startTime - b.startTime || a.pid - b.pid);
}

let boot: string | undefined;

/** Changes at every boot of this machine; the same for all processes in between. */
export function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return boot;
}
