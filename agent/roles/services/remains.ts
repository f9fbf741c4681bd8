import process from 'node:process';
import { until } from '../../platform/clock.ts';
import { errno } from '../../platform/files.ts';
import { alive, groupMembers, processesWithEnv } from '../../platform/procfs.ts';
import type { StopSignal } from './driver.ts';
import { UNIT_VARIABLE } from './record.ts';

/** Sends a signal; a process that is gone already is no error. */
export function send(pid: number, signal: StopSignal): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    if (errno(cause) !== 'ESRCH') throw cause;
  }
}

/**
 * What is left of a service: its main process, its process group, and whatever still carries its mark in the
 * environment. `main` is absent when it was never known or died earlier: its number may be somebody else's by
 * now.
 */
export function remainsOf(mark: string, main?: { pid: number; startTime: number }): number[] {
  const marked = processesWithEnv(UNIT_VARIABLE, mark).map((stat) => stat.pid);
  if (!main) return marked;
  const first = alive(main.pid, main.startTime) ? [main.pid] : [];
  return [...new Set([...first, ...groupMembers(main.pid), ...marked])];
}

/** SIGKILL until nothing is left: an empty list, or after `timeout` ms the pids that do not go. */
export async function killRemains(remains: () => number[], timeout: number): Promise<number[]> {
  let left = remains();
  if (left.length === 0) return left;
  await until(
    () => {
      for (const pid of left) send(pid, 'SIGKILL');
      left = remains();
      return left.length === 0;
    },
    { timeout, every: 10 },
  );
  return left;
}
