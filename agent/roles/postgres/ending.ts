/** End the server's processes, and know that none is left and none on its way. */

import { type Deadline, deadline, until, within } from '../../platform/clock.ts';
import { alive, groupMembers, type ProcessStat, readStat } from '../../platform/procfs.ts';
import { peekControl } from './control.ts';
import {
  childrenOf,
  killLeftovers,
  postmasterPid,
  processTitle,
  serverProcesses,
  signal,
} from './process.ts';
import { failed, type Server } from './server.ts';

export type Mode = 'fast' | 'immediate';

/**
 * How long the standbys have to take the shutdown checkpoint, and the archiver its files, before they are
 * ended.
 */
const drain = 1000;
/** One that ends tells its peer, and waits for that too until it is told to end once more. */
const AGAIN = 250;
/** For the list of those that decode; a server that does not answer by then is not asked. */
const ASKING = 300;
/**
 * Titles of those that the checkpoint does not end: the checkpointer still deletes files, the others write
 * down what they were told, and end with the postmaster.
 */
const finishes = /^postgres: (?:.*: )?(?:checkpointer|logger|stats collector)\s*$/;
/** How much longer than its time the killing may take. */
const KILLING = 2000;

/** Null when confirmed, else what is in its way. Part of a stop's turn. */
export async function endServer(server: Server, mode: Mode, end: Deadline): Promise<string | null> {
  const { o, turns } = server;
  const pid = await postmasterPid(o);
  if (pid !== null) await endPostmaster(server, pid, mode, end);
  // One that ran is gone with its processes. Where none ran, or one was being started, another may be on its
  // way.
  const coming = pid === null || turns.launching() ? await endComing(server, mode, end) : null;
  // A frozen or stubborn server is killed, and so are children that outlived their postmaster.
  const left = serverProcesses(o.dataDir).length;
  if (left > 0 && !(await killLeftovers(o, deadline(KILLING)))) return 'processes of the server do not end';
  // Another user's processes do not show where they work: the postmaster itself is asked for once more.
  if (pid !== null && alive(pid)) return 'the postmaster does not end';
  return coming;
}

async function endPostmaster(server: Server, pid: number, mode: Mode, end: Deadline): Promise<void> {
  const decoders = mode === 'fast' ? await decoding(server, end) : [];
  server.link.drop();
  ask(server, pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  const stuck = mode === 'fast' ? stuckChildren(server.o.dataDir, pid, decoders) : null;
  await until(
    async () => {
      if (!alive(pid)) return true;
      await stuck?.release();
      return false;
    },
    { timeout: end, every: 5 },
  );
  stuck?.rest();
}

/** A start of this driver is let come to its process, one that was filed elsewhere is taken back. */
async function endComing(server: Server, mode: Mode, end: Deadline): Promise<string | null> {
  const { o, turns } = server;
  try {
    const revoked = o.starter.revoke?.(end.left());
    if (revoked !== undefined) await within(end.left() + KILLING, 'taking back its start', revoked);
  } catch (thrown) {
    return failed(thrown).why;
  }
  if (!(await turns.launched(end))) return 'a start is under way and does not end';
  const pid = await postmasterPid(o);
  if (pid === null) return null;
  await endPostmaster(server, pid, mode, end);
  if (!alive(pid)) return null;
  signal(pid, 'SIGKILL');
  return (await until(() => !alive(pid), { timeout: KILLING, every: 5 }))
    ? null
    : 'the postmaster does not end';
}

/** Walsenders of logical slots, as far as the server says so in time: no standby waits for what they send. */
async function decoding(server: Server, end: Deadline): Promise<ProcessStat[]> {
  try {
    const rows = await server.link.query(
      "select active_pid as pid from pg_replication_slots where slot_type = 'logical' and active_pid is not null",
      Math.max(1, Math.min(ASKING, end.left() / 4)),
    );
    return rows.flatMap(({ pid }) => readStat(Number(pid)) ?? []);
  } catch {
    return [];
  }
}

function ask(server: Server, pid: number, name: NodeJS.Signals): void {
  const { starter } = server.o;
  if (starter.pid() === pid) starter.kill(name);
  else signal(pid, name);
}

/**
 * A clean stop ends when every walsender has sent the shutdown checkpoint and had it confirmed, and the
 * archiver has archived the last of the log; one whose peer is gone without a word, or a command that hangs
 * or fails, holds it up for a long time. Once the checkpoint is on disk there is nothing left to write, and
 * the living had their time: what is left is ended, and killed if that does not help. The stop stays a clean
 * one. What was not archived keeps its mark (archive_status/*.ready), for the archiver of the next writable
 * start. `decoders` hold the checkpoint itself up while their subscriber takes nothing: they are told to end
 * before it, and not killed, which would make the stop unclean.
 */
function stuckChildren(dataDir: string, postmaster: number, decoders: ProcessStat[]) {
  let askAgain = performance.now() + drain;
  let since: number | null = null;
  /** The archiver's command and what that started, which may outlive it. */
  const commands = new Map<number, ProcessStat>();
  let ended = false;
  const kill = () => {
    for (const { pid, startTime } of commands.values()) if (alive(pid, startTime)) signal(pid, 'SIGKILL');
  };
  return {
    async release(): Promise<void> {
      if (since === null) {
        if ((await peekControl(dataDir))?.down) since = performance.now();
        else if (performance.now() > askAgain) {
          askAgain = performance.now() + AGAIN;
          for (const { pid, startTime } of decoders) if (alive(pid, startTime)) signal(pid, 'SIGTERM');
        }
        return;
      }
      const waited = performance.now() - since;
      if (waited < drain || (ended && waited < 1.5 * drain)) return;
      for (const child of childrenOf(postmaster)) {
        if (finishes.test(processTitle(child.pid))) continue;
        // The archiver hears nothing before its command ends.
        for (const id of child.group === child.pid ? groupMembers(child.pid) : []) {
          const stat = id === child.pid ? undefined : readStat(id);
          if (stat !== undefined) commands.set(id, stat);
          if (stat !== undefined && !ended) signal(id, 'SIGTERM');
        }
        signal(child.pid, ended ? 'SIGKILL' : 'SIGTERM');
      }
      if (ended) kill();
      ended = true;
    },
    /** Once the postmaster is gone, or the time is over. */
    rest: kill,
  };
}
