/** This machine as tenants.ts asks for it. */
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import process from 'node:process';
import { readIfPossible } from '../platform/files.ts';
import { allPids, readStat } from '../platform/procfs.ts';
import { UNITS } from '../trampoline/names.ts';
import { type Running, type Surroundings, tenantsOf, type UnitText } from './tenants.ts';

/** The first that has a name hides those after it. */
const UNIT_DIRS = ['/etc/systemd/system', '/run/systemd/system', '/usr/local/lib/systemd/system'].concat([
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
]);
const CRONTABS = ['/var/spool/cron/crontabs', '/var/spool/cron'];
const OURS: ReadonlySet<string> = new Set(Object.values(UNITS));
const OUR_CGROUP = new RegExp(
  `/(?:${[...OURS].map((name) => name.replaceAll('.', '\\.')).join('|')})(?:/|$)`,
  'm',
);

function names(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

/** Templates, disabled and generated ones among them; a masked unit is empty, and hides what it masks. */
function unitTexts(): UnitText[] {
  const found = new Map<string, string>();
  const dropIns: UnitText[] = [];
  for (const dir of UNIT_DIRS) {
    for (const name of names(dir)) {
      const path = join(dir, name);
      if (name.endsWith('.service') && !found.has(name)) found.set(name, readIfPossible(path) ?? '');
      if (!name.endsWith('.service.d')) continue;
      for (const file of names(path))
        if (file.endsWith('.conf'))
          dropIns.push({ name: name.slice(0, -2), text: readIfPossible(join(path, file)) ?? '' });
    }
  }
  return [...[...found].map(([name, content]) => ({ name, text: content })), ...dropIns].filter(
    ({ name }) => !OURS.has(name),
  );
}

const programOf = (pid: number): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
  } catch {
    return undefined;
  }
};

/** By its unit, by its program, or by who started it: the agent's command line calls programs too. */
function isOurs(pid: number, executable: string): boolean {
  if (OUR_CGROUP.test(readIfPossible(`/proc/${pid}/cgroup`) ?? '')) return true;
  for (let at = pid, steps = 0; at > 1 && steps < 32; steps++) {
    const program = programOf(at);
    if (program === executable || (program !== undefined && program === programOf(process.pid))) return true;
    at = readStat(at)?.parent ?? 0;
  }
  return false;
}

function processes(executable: string, uid: number): Running[] {
  return allPids().flatMap((pid): Running[] => {
    try {
      if (statSync(`/proc/${pid}`).uid !== uid) return [];
    } catch {
      return [];
    }
    const stat = readStat(pid);
    if (stat === undefined || stat.state === 'Z') return [];
    return [{ pid, uid, command: stat.command, ours: isOurs(pid, executable) }];
  });
}

/**
 * Why that user is not the agent's alone. As root all of it is seen, as the agent all but passwords and
 * tables of cron.
 */
export function realTenants(user: string, executable: string): string[] {
  const passwd = readIfPossible('/etc/passwd') ?? '';
  const uid = Number(
    passwd
      .split('\n')
      .find((line) => line.startsWith(`${user}:`))
      ?.split(':')[2] ?? Number.NaN,
  );
  const around: Surroundings = {
    passwd,
    group: readIfPossible('/etc/group') ?? '',
    shadow: readIfPossible('/etc/shadow'),
    units: unitTexts(),
    processes: processes(executable, uid),
    crontabs: CRONTABS.filter(existsSync).flatMap((dir) => names(dir).map((name) => basename(name))),
  };
  return tenantsOf(user, around);
}
