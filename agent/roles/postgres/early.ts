/**
 * Connections that have not logged in yet. One that began before a reload is judged by the pg_hba of then and
 * has a minute for it, and is in no view of the server's until it has.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { alive, type ProcessStat } from '../../platform/procfs.ts';
import { childrenOf, signal } from './process.ts';

/**
 * Those of `postmaster` as of now. What a process is called says nothing, it need not be kept up
 * (update_process_title): a connection is a child with a socket that the postmaster does not have, and none
 * of its other children holds one that is not in the server's view of its processes. Made once a later
 * connection was accepted: of the earlier ones the postmaster has closed its end. Another user's cannot be
 * looked at, nor ended, from here: there the firewall is the fence.
 */
export function createEarly(postmaster: number) {
  let left: ProcessStat[] = childrenOf(postmaster);
  let looks = 0;
  return {
    /**
     * `inView`: the pids in pg_stat_activity, read after this was made, or after the last call. Ends what is
     * in no view, seen twice: one that was just forked is on its way there. True when none is left.
     */
    end(inView: ReadonlySet<number>): boolean {
      looks += 1;
      const shared = sockets(postmaster);
      left = left.filter(
        ({ pid, startTime }) =>
          !inView.has(pid) && [...sockets(pid)].some((own) => !shared.has(own)) && alive(pid, startTime),
      );
      if (looks > 1) for (const { pid } of left) signal(pid, 'SIGTERM');
      return left.length === 0;
    },
  };
}

/** Empty when it is gone, or another user's. */
function sockets(pid: number): Set<string> {
  const found = new Set<string>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      try {
        const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
        if (target.startsWith('socket:')) found.add(target);
      } catch {
        // closed meanwhile
      }
    }
  } catch {
    // gone, or not ours to look at
  }
  return found;
}
