/** Bring changed settings into force on the running server, and know that they are. */
import { join } from 'node:path';
import type { Outcome } from '../../core/postgres.ts';
import { PRIVATE, writeDurably } from '../../platform/files.ts';
import type { Claim } from './claims.ts';
import { partAutoConf, type Settings } from './conf.ts';
import type { PgOptions } from './options.ts';
import { postmasterPid, signal } from './process.ts';
import { readText } from './read_text.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { type Deadline, poll } from './time.ts';

/** What the manager had set with ALTER SYSTEM before the agent took it out: given back by teardown. */
export const takenFile = (o: Pick<PgOptions, 'confDir'>): string => join(o.confDir, 'auto.conf.taken');

/**
 * Take what the agent owns out of postgresql.auto.conf: it is read last and would win. `keep`: it is the manager's own. Returns the
 * names of what was taken.
 */
export async function cleanAutoConf(o: PgOptions, keep = false): Promise<string[]> {
  const path = join(o.dataDir, 'postgresql.auto.conf');
  const text = await readText(path);
  if (text === null) return [];
  const { kept, taken } = partAutoConf(text, o);
  if (taken.length === 0) return [];
  if (keep) await keepTaken(o, taken);
  writeDurably(path, kept, PRIVATE);
  return taken.map((line) => (line.split('=')[0] ?? '').trim());
}

/** On a running server: what ALTER SYSTEM has set of the agent's settings since is taken out, and out of force. */
export async function holdSettings({ o }: Server): Promise<Outcome & { taken?: string[] }> {
  return await attempt('settings', async () => {
    const pid = await postmasterPid(o);
    if (pid === null) return DONE;
    const taken = await cleanAutoConf(o);
    // Told as a process: a server that does not accept now is not to miss it.
    if (taken.length > 0) tell(o, pid);
    return { ...DONE, taken };
  });
}

function tell(o: PgOptions, pid: number): void {
  if (o.starter.pid() !== null) o.starter.kill('SIGHUP');
  else signal(pid, 'SIGHUP');
}

/** Before they are taken out. Again after an interruption: nothing twice. */
async function keepTaken(o: PgOptions, lines: string[]): Promise<void> {
  const before = ((await readText(takenFile(o))) ?? '').split('\n').filter((line) => line !== '');
  const all = [...before, ...lines.filter((line) => !before.includes(line))];
  writeDurably(takenFile(o), `${all.join('\n')}\n`, PRIVATE);
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
      tell(o, pid);
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
