import process from 'node:process';
import { until } from '../../agent/platform/clock.ts';
import { errno } from '../../agent/platform/files.ts';
import {
  alive,
  allPids,
  type ProcessStat,
  processesIn,
  processesWithEnv,
  readStat,
} from '../../agent/platform/procfs.ts';
import type { DevNode } from './layout.ts';

/** In the environment of a node's agent, and so of everything that it starts. */
export const NODE_VARIABLE = 'AGENT_DEV_NODE';

/** Sends a signal to exactly this process; one that is gone is no error. */
export function signalProcess(
  { pid, startTime }: Pick<ProcessStat, 'pid' | 'startTime'>,
  signal: NodeJS.Signals,
): void {
  if (!alive(pid, startTime)) return;
  try {
    process.kill(pid, signal);
  } catch (cause) {
    if (errno(cause) !== 'ESRCH') throw cause;
  }
}

/**
 * Every living process of a node, oldest first: what carries its mark, what works in its folder (PostgreSQL
 * writes over its environment), and their descendants.
 */
export function nodeProcesses(node: DevNode): ProcessStat[] {
  const found = new Map<number, ProcessStat>();
  for (const stat of [...processesWithEnv(NODE_VARIABLE, node.dir), ...processesIn(node.dir)]) {
    if (stat.pid !== process.pid) found.set(stat.pid, stat);
  }
  const all = allPids().flatMap((pid) => readStat(pid) ?? []);
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const stat of all) if (found.has(stat.parent) && stat.state !== 'Z') found.set(stat.pid, stat);
  }
  return [...found.values()].sort((a, b) => a.startTime - b.startTime || a.pid - b.pid);
}

/**
 * Ends everything of a node at once, as a power cut would. Resolves when nothing is left; rejects if
 * something stays.
 */
export async function killNode(node: DevNode, timeout = 10_000): Promise<void> {
  const gone = await until(
    () => {
      const left = nodeProcesses(node);
      for (const stat of left) signalProcess(stat, 'SIGKILL');
      return left.length === 0;
    },
    { timeout, every: 20 },
  );
  if (gone) return;
  const left = nodeProcesses(node).map(({ pid, command }) => `${pid} ${command}`);
  throw new Error(`processes of ${node.name} do not end: ${left.join(', ')}`);
}
