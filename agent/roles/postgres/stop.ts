/** Stop, and know that nothing of the server is left. */
import type { StopOutcome } from '../../core/postgres.ts';
import { alive } from '../../platform/procfs.ts';
import { peekControl } from './control.ts';
import { stopped } from './lifecycle.ts';
import {
  childrenOf,
  killLeftovers,
  postmasterPid,
  processTitle,
  serverProcesses,
  signal,
} from './process.ts';
import { attempt, failed, type Server } from './server.ts';
import { deadline, poll } from './time.ts';

/** How long the standbys have to take the shutdown checkpoint before their walsenders are ended. */
const drain = 1000;

export async function stop(
  server: Server,
  mode: 'fast' | 'immediate',
  ms: number,
  thenStandby: boolean,
): Promise<StopOutcome> {
  const end = deadline(ms);
  const { o, link, loss } = server;
  const outcome = await attempt('stop', async (): Promise<StopOutcome> => {
    loss.want(true);
    const pid = await postmasterPid(o);
    if (pid !== null) {
      link.drop();
      ask(server, pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      const release = mode === 'fast' ? stuckSenders(o.dataDir, pid) : async () => {};
      await poll(end, 5, async () => {
        if (!alive(pid)) return true;
        await release();
        return null;
      });
    }
    // A frozen or stubborn server is killed, and so are children that outlived their postmaster.
    const left = serverProcesses(o.dataDir).length;
    if (left > 0 && !(await killLeftovers(o, deadline(2000))))
      return failed('processes of the server do not end');
    // Another user's processes do not show where they work: the postmaster itself is asked for once more.
    if (pid !== null && alive(pid)) return failed('the postmaster does not end');
    return await stopped(server, thenStandby);
  });
  if (outcome.kind !== 'stopped') loss.want(false);
  return outcome;
}

function ask(server: Server, pid: number, name: NodeJS.Signals): void {
  const { starter } = server.o;
  if (starter.pid() === pid) starter.kill(name);
  else signal(pid, name);
}

/**
 * A clean stop ends when every walsender has sent the shutdown checkpoint and had it confirmed; one whose peer is
 * gone without a word holds it up until its timeout. Once the checkpoint is on disk and the living had
 * their time, the others are ended, and killed if that does not help. The stop stays a clean one.
 */
function stuckSenders(dataDir: string, postmaster: number): () => Promise<void> {
  let since: number | null = null;
  let ended = false;
  return async () => {
    if (since === null) {
      if ((await peekControl(dataDir))?.down) since = performance.now();
      return;
    }
    const waited = performance.now() - since;
    if (waited < drain || (ended && waited < 1.5 * drain)) return;
    for (const child of childrenOf(postmaster)) {
      if (processTitle(child.pid).includes('walsender')) signal(child.pid, ended ? 'SIGKILL' : 'SIGTERM');
    }
    ended = true;
  };
}
