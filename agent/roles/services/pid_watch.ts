import { Buffer } from 'node:buffer';
import { closeSync, openSync, readSync } from 'node:fs';
import { parseStat } from '../../platform/procfs.ts';
import type { ExitPoller } from './poller.ts';

interface Watched {
  readonly fd: number;
  readonly gone: () => void;
}

/**
 * What an open /proc/PID/stat says: reading it fails once that very process is gone, whoever has its number
 * then.
 */
function lives(fd: number, buffer: Buffer, startTime?: number): boolean {
  try {
    const stat = parseStat(buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0)));
    if (!stat || stat.state === 'Z' || stat.state === 'X') return false;
    return startTime === undefined || stat.startTime === startTime;
  } catch {
    return false;
  }
}

/**
 * Tells within `every` ms of the end of processes that are not our children and that this user could not
 * signal. A file held open per process makes each look one read. Measured on Bun with six processes at 100
 * ms: 0.22 % of a core over doing nothing, of which 0.18 % is the timer alone; reading the files by name cost
 * 0.35 %. D-Bus would tell without any polling, but for every change of every unit, and it says nothing while
 * systemd itself hangs.
 */
export function pidWatch(every = 100): ExitPoller {
  const watched = new Set<Watched>();
  const buffer = Buffer.alloc(1024);
  let timer: ReturnType<typeof setInterval> | undefined;

  const drop = (one: Watched) => {
    if (!watched.delete(one)) return;
    closeSync(one.fd);
    if (watched.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  const look = () => {
    for (const one of [...watched]) {
      if (!watched.has(one) || lives(one.fd, buffer)) continue;
      drop(one);
      one.gone();
    }
  };

  return {
    watch(pid, startTime, gone) {
      let fd: number;
      try {
        fd = openSync(`/proc/${pid}/stat`, 'r');
      } catch {
        queueMicrotask(gone);
        return () => {};
      }
      if (!lives(fd, buffer, startTime)) {
        closeSync(fd);
        queueMicrotask(gone);
        return () => {};
      }
      const one = { fd, gone };
      watched.add(one);
      timer ??= setInterval(look, every);
      timer.unref();
      return () => drop(one);
    },
    close() {
      for (const one of [...watched]) drop(one);
    },
  };
}
