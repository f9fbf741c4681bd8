import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { DevNode } from '../../cli/dev/layout.ts';
import { nodeProcesses } from '../../cli/dev/processes.ts';

/** Clock ticks a second in /proc/PID/stat: fixed by the kernel's interface. */
const TICKS = 100;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[middle - 1] ?? Number.NaN, sorted[middle] ?? Number.NaN];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

/** User and system time of one process, ms. */
function cpuOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}

/** One line of /proc/PID/status, in MB. */
function memoryOf(pid: number, name: 'VmRSS' | 'RssAnon'): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}

function isManagers(pid: number): boolean {
  const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  return command.includes('dev worker');
}

/** The agent and whatever it keeps running for itself: not Consul, PostgreSQL or the manager's own worker. */
function agentProcesses(node: DevNode): number[] {
  return nodeProcesses(node)
    .filter(({ pid, command }) => !['consul', 'postgres'].includes(command) && !isManagers(pid))
    .map(({ pid }) => pid);
}

export interface AtRest {
  readonly node: string;
  /** Percent of one core. */
  readonly cpu: number;
  /** MB; `own` is what no other process shares. */
  readonly memory: number;
  readonly own: number;
  readonly processes: number;
}

/** What each node's agent costs while nothing happens, over `ms`. */
export async function atRest(nodes: readonly DevNode[], ms: number): Promise<AtRest[]> {
  const sets = nodes.map((node) => ({ node, pids: agentProcesses(node) }));
  const sum = (pids: readonly number[], of: (pid: number) => number) =>
    pids.reduce((total, pid) => total + of(pid), 0);
  const before = sets.map(({ pids }) => sum(pids, cpuOf));
  const began = performance.now();
  await sleep(ms);
  const elapsed = performance.now() - began;
  return sets.map(({ node, pids }, index) => ({
    node: node.name,
    cpu: ((sum(pids, cpuOf) - (before[index] ?? 0)) / elapsed) * 100,
    memory: sum(pids, (pid) => memoryOf(pid, 'VmRSS')),
    own: sum(pids, (pid) => memoryOf(pid, 'RssAnon')),
    processes: pids.length,
  }));
}

/**
 * Milliseconds from start to end of a command, `runs` times, one after the other. Rejects if it fails once.
 */
export async function latencies(command: readonly string[], runs: number): Promise<number[]> {
  const [program = '', ...args] = command;
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const began = performance.now();
    const code = await new Promise((resolve) =>
      spawn(program, args, { stdio: 'ignore' }).once('exit', resolve),
    );
    times.push(performance.now() - began);
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}`);
  }
  return times;
}
