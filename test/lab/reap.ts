/**
 * Takes a lab away, whole or half-made, from what is found on the machine: also one whose maker was killed.
 * Synchronous.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { killAll, pidsOf, removeCgroup } from './cgroup.ts';
import { attempt, cacheDir } from './host.ts';
import { type LabPaths, labPaths } from './names.ts';
import { removeNetwork } from './network.ts';

const pause = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
const list = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);

function machinesOf({ name }: LabPaths): string[] {
  const own = new RegExp(`^lab-${name}-n[0-9]+$`);
  const tops = ['', 'systemd', 'unified', 'freezer', 'cpu'];
  return [
    ...new Set(tops.flatMap((top) => list(join('/sys/fs/cgroup', top))).filter((entry) => own.test(entry))),
  ];
}

const namespacesOf = ({ name }: LabPaths) =>
  list('/run/netns').filter((entry) => entry.startsWith(`lab.${name}.`));

/** Whatever still runs in the lab's network namespaces: clients, ledgers. Never this process. */
function killInside(netns: string): void {
  const found = spawnSync('ip', ['netns', 'pids', netns], { encoding: 'utf8' });
  for (const pid of (found.stdout ?? '').split('\n').map(Number)) {
    if (pid > 1 && pid !== process.pid) attempt('kill', '-KILL', String(pid));
  }
}

function mountsBelow(folder: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`${folder}/`));
}

/** Idempotent. Throws when something does not go away. */
export function reap(paths: LabPaths): void {
  const machines = machinesOf(paths);
  for (const machine of machines) killAll(machine);
  for (let round = 0; round < 200 && machines.some((machine) => pidsOf(machine).length > 0); round++) {
    for (const machine of machines) killAll(machine);
    pause(20);
  }
  for (const netns of namespacesOf(paths)) killInside(netns);
  for (const mount of mountsBelow(paths.dir).reverse())
    attempt('umount', mount) || attempt('umount', '-l', mount);
  removeNetwork(namespacesOf(paths));
  for (let round = 0; round < 50 && !machines.every(removeCgroup); round++) pause(20);
  // Only once nothing is mounted below: what is mounted is not ours to remove.
  if (mountsBelow(paths.dir).length === 0) rmSync(paths.dir, { recursive: true, force: true });
  const left = [...machinesOf(paths), ...namespacesOf(paths), ...mountsBelow(paths.dir)];
  if (left.length > 0) throw new Error(`lab ${paths.name}: could not remove ${left.join(', ')}`);
}

/** Names of the labs that are there, running or left over. */
export const labNames = (): string[] => list(join(cacheDir(), 'run'));

const ownerFile = (paths: LabPaths) => join(paths.dir, 'owner');
export const KEPT = 'kept';

/** Who holds the lab: a live process, `kept` for one made to stay, undefined when it is free to be reaped. */
export function ownerOf(paths: LabPaths): number | typeof KEPT | undefined {
  try {
    const owner = readFileSync(ownerFile(paths), 'utf8').trim();
    if (owner === KEPT) return KEPT;
    return existsSync(`/proc/${owner}`) ? Number(owner) : undefined;
  } catch {
    return undefined;
  }
}

/** Takes away every lab whose maker has ended without doing so. Returns their names. */
export function reapLeftovers(): string[] {
  const left = labNames().filter((name) => ownerOf(labPaths(name)) === undefined);
  for (const name of left) reap(labPaths(name));
  return left;
}
