/** Bring changed settings into force on the running server, and know that they are. */
import { join } from 'node:path';
import type { Outcome } from '../../core/postgres.ts';
import { PRIVATE, writeDurably } from '../../platform/files.ts';
import type { Claim } from './claims.ts';
import { partAutoConf, type Settings } from './conf.ts';
import type { PgOptions } from './options.ts';
import { keepTaken } from './originals.ts';
import { postmasterPid, signal } from './process.ts';
import { readText } from './read_text.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { type Deadline, poll } from './time.ts';

/** Take what the agent owns out of postgresql.auto.conf: it is read last and would win. `keep`: it is the manager's own. */
export async function cleanAutoConf(o: PgOptions, keep = false): Promise<void> {
  const path = join(o.dataDir, 'postgresql.auto.conf');
  const text = await readText(path);
  if (text === null) return;
  const { kept, taken } = partAutoConf(text, o);
  if (taken.length === 0) return;
  if (keep) keepTaken(o, taken);
  writeDurably(path, kept, PRIVATE);
}

/** Write the change; on a running server also load it. 'done' on a stopped one means that the file says so. */
export async function apply(
  server: Server,
  part: Partial<Omit<Settings, 'generation'>>,
  end: Deadline,
  claim: Claim,
): Promise<Outcome & { running?: boolean }> {
  await server.settings.change(part, claim);
  const pid = await postmasterPid(server.o);
  if (pid === null) return { ...DONE, running: false };
  await cleanAutoConf(server.o);
  const loaded = await reload(server, pid, end);
  return loaded.kind === 'done' ? { ...DONE, running: true } : loaded;
}

/**
 * A server that ended under a change leaves nothing to wait for: what was written is what its next start reads.
 */
export async function unlessStopped<T extends Outcome>(server: Server, outcome: T): Promise<T | Outcome> {
  if (outcome.kind === 'done' || (await postmasterPid(server.o)) !== null) return outcome;
  return DONE;
}

/**
 * A fresh connection has the postmaster's own configuration, so one that shows the written generation proves that
 * the postmaster has loaded it, its pg_hba included: both are done before it accepts again.
 */
async function reload(server: Server, pid: number, end: Deadline): Promise<Outcome> {
  const { link, o } = server;
  return await attempt('reload', async () => {
    try {
      await link.query('select pg_reload_conf()', end.left());
    } catch {
      // Not accepting yet, or no more: what is running shall at least be told.
      if (o.starter.pid() !== null) o.starter.kill('SIGHUP');
      else signal(pid, 'SIGHUP');
    }
    let last: unknown = 'no answer';
    const shown = await poll(end, 4, async () => {
      try {
        const rows = await link.fresh(
          "select current_setting('agent.generation', true) as g",
          Math.max(1, end.left()),
        );
        return rows[0]?.g === (await server.settings.get()).generation ? true : null;
      } catch (error) {
        last = error;
        return null;
      }
    });
    return shown ? DONE : failed(`the server did not show the new settings in time (${String(last)})`);
  });
}

/** True when the running server has loaded what is written. Costs one query on the kept connection. */
export async function isLoaded(server: Server, ms: number): Promise<boolean> {
  try {
    const rows = await server.link.query("select current_setting('agent.generation', true) as g", ms);
    return rows[0]?.g === (await server.settings.get()).generation;
  } catch {
    return false;
  }
}
