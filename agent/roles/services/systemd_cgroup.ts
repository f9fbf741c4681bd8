/** Which processes a unit has, from the kernel's own list: needs no privilege and no other process. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errno } from '../../platform/files.ts';
import { readStat } from '../../platform/procfs.ts';

/** Where systemd's hierarchy is mounted: cgroups v1, hybrid, v2. */
const ROOTS = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'] as const;

let root: string | undefined;

function cgroupRoot(): string {
  root ??= ROOTS.find((dir) => existsSync(join(dir, 'system.slice'))) ?? '/sys/fs/cgroup';
  return root;
}

/**
 * Living processes in a unit's cgroup and those below it; an empty list confirms that nothing is left. Throws
 * when the kernel's list cannot be read: that is no confirmation.
 */
export function processesOf(cgroup: string, from: string = cgroupRoot()): number[] {
  const dir = join(from, cgroup);
  let text: string;
  try {
    text = readFileSync(join(dir, 'cgroup.procs'), 'utf8');
  } catch (cause) {
    // A unit without processes has no cgroup, and one that is just removed no more readable list. But where
    // not even its top is, this is not the place to look.
    const top = cgroup.split('/').find(Boolean) ?? '';
    if (errno(cause) === 'ENODEV' || (errno(cause) === 'ENOENT' && existsSync(join(from, top)))) return [];
    throw cause;
  }
  const own = text
    .split('\n')
    .filter(Boolean)
    .map(Number)
    // One that this user may not look at counts as living.
    .filter((pid) => readStat(pid)?.state !== 'Z');
  return [...own, ...foldersIn(dir).flatMap((name) => processesOf(`${cgroup}/${name}`, from))];
}

function foldersIn(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
