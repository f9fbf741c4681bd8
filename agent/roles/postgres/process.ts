/** The server's processes as the kernel shows them: every one works in the data directory. */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { type Deadline, until } from '../../platform/clock.ts';
import { removeDurably } from '../../platform/files.ts';
import { alive, allPids, type ProcessStat, processesIn, readStat } from '../../platform/procfs.ts';
import type { PgOptions } from './options.ts';
import { readText } from './read_text.ts';

const isPostgres = (p: ProcessStat): boolean => p.command === 'postgres' || p.command === 'postmaster';

/**
 * The postmaster, its children, and children that outlived it, as far as this OS user may look. An operator's
 * shell that stands in the folder is none of them.
 */
export function serverProcesses(dataDir: string): ProcessStat[] {
  return processesIn(resolved(dataDir)).filter(isPostgres);
}

/** The path as the kernel shows it, also once the folder itself was removed under the server. */
function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return existsSync(dirname(path)) ? join(realpathSync(dirname(path)), basename(path)) : path;
  }
}

/** Living children of the postmaster. */
export function childrenOf(pid: number): ProcessStat[] {
  return allPids().flatMap((id) => {
    const stat = readStat(id);
    return stat?.parent === pid ? [stat] : [];
  });
}

/** The command line as `ps` shows it; empty when the process is gone. */
export function processTitle(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

export type PidFile = { pid: number; status: string };

/**
 * postmaster.pid: the postmaster's id and what it last said of itself ('starting', 'ready', 'standby',
 * 'stopping').
 */
export async function readPidFile(dataDir: string): Promise<PidFile | null> {
  const lines = ((await readText(join(dataDir, 'postmaster.pid'))) ?? '').split('\n');
  const pid = Number.parseInt(lines[0] ?? '', 10);
  return Number.isInteger(pid) && pid > 0 ? { pid, status: (lines[7] ?? '').trim() } : null;
}

/** The running postmaster's id, whoever started it; null when there is none. */
export async function postmasterPid(o: PgOptions): Promise<number | null> {
  const known = o.starter.pid();
  if (known !== null && alive(known)) return known;
  const file = await readPidFile(o.dataDir);
  if (file === null || !alive(file.pid)) return null;
  // After a crash the file stays, and its number may be another process's by now.
  return serverProcesses(o.dataDir).some((p) => p.pid === file.pid) ? file.pid : null;
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // gone already, or not ours to signal: what is left is seen by looking again
  }
}

/** Kill what is left of the server until nothing is. False when something stays. */
export async function killLeftovers(o: PgOptions, end: Deadline): Promise<boolean> {
  const gone = await until(
    () => {
      const left = serverProcesses(o.dataDir);
      for (const { pid } of left) signal(pid, 'SIGKILL');
      return left.length === 0;
    },
    { timeout: end, every: 5 },
  );
  if (!gone) return false;
  // Ids are used again: a new process under the old number would make the server refuse to start.
  removeDurably(join(o.dataDir, 'postmaster.pid'));
  removeDurably(join(o.socketDir, `.s.PGSQL.${o.port}.lock`));
  return true;
}
