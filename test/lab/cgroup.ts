/**
 * One cgroup per VM on the machine that carries the lab: each VM's systemd sees its own as the top of the
 * tree, and everything in a VM can be frozen, starved or killed at once. Both cgroup versions; in version 1
 * the `memory` and `cpuset` hierarchies are left alone.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const TOP = '/sys/fs/cgroup';
const unified = () => existsSync(join(TOP, 'cgroup.controllers'));

function hierarchies(): string[] {
  if (unified()) return [TOP];
  return ['systemd', 'unified', 'freezer', 'cpu']
    .map((name) => join(TOP, name))
    .filter((path) => existsSync(path));
}

const foldersOf = (machine: string) => hierarchies().map((top) => join(top, machine));

/** Creates it where needed. Returns the files to write a pid into. */
export function makeCgroup(machine: string): string[] {
  return foldersOf(machine).map((folder) => {
    mkdirSync(folder, { recursive: true });
    return join(folder, 'cgroup.procs');
  });
}

/**
 * The file to write a pid into for a command that is to share the fate of the VM, or undefined without a
 * freezer.
 */
export function fateOf(machine: string): string | undefined {
  const folder = join(unified() ? TOP : join(TOP, 'freezer'), machine, unified() ? 'lab' : '');
  if (!existsSync(folder)) return undefined;
  return join(folder, 'cgroup.procs');
}

function below(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const inner = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...inner.flatMap((entry) => below(join(folder, entry.name))), folder];
}

/** Every process of the VM, in whatever hierarchy. */
export function pidsOf(machine: string): number[] {
  const found = new Set<number>();
  for (const folder of foldersOf(machine).flatMap(below)) {
    try {
      for (const line of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n')) {
        if (Number(line) > 0) found.add(Number(line));
      }
    } catch {
      // removed meanwhile
    }
  }
  return [...found];
}

/** As when a hypervisor stops a VM: nothing in it runs, its clock and connections go on. */
export function freeze(machine: string, frozen: boolean): void {
  const [path, on, off] = unified()
    ? [join(TOP, machine, 'cgroup.freeze'), '1', '0']
    : [join(TOP, 'freezer', machine, 'freezer.state'), 'FROZEN', 'THAWED'];
  if (existsSync(path)) writeFileSync(path, frozen ? on : off);
}

export function isFrozen(machine: string): boolean {
  const [path, yes] = unified()
    ? [join(TOP, machine, 'cgroup.freeze'), '1']
    : [join(TOP, 'freezer', machine, 'freezer.state'), 'FROZEN'];
  return existsSync(path) && readFileSync(path, 'utf8').trim() === yes;
}

/** A VM that gets too little of the machine: `share` of one core; null takes the limit off. */
export function starve(machine: string, share: number | null): void {
  const period = 100_000;
  const quota = share === null ? undefined : Math.max(1000, Math.round(period * share));
  if (unified()) writeFileSync(join(TOP, machine, 'cpu.max'), `${quota ?? 'max'} ${period}`);
  else writeFileSync(join(TOP, 'cpu', machine, 'cpu.cfs_quota_us'), `${quota ?? -1}`);
}

/** SIGKILL to every process in the VM, also a frozen one. */
export function killAll(machine: string): void {
  for (const pid of pidsOf(machine)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // ended meanwhile
    }
  }
  freeze(machine, false);
}

/** Removes what is empty; true when nothing is left. */
export function removeCgroup(machine: string): boolean {
  for (const folder of foldersOf(machine).flatMap(below)) {
    try {
      rmdirSync(folder);
    } catch {
      // still in use
    }
  }
  return foldersOf(machine).every((folder) => !existsSync(folder));
}
