/** Bring changed settings into force on the running server, and know that they are. */
import { join } from 'node:path';
import type { Outcome } from '../../core/postgres.ts';
import { type Deadline, deadline, Timeout, until } from '../../platform/clock.ts';
import { PRIVATE, writeDurably } from '../../platform/files.ts';
import type { Claim } from './claims.ts';
import { partAutoConf, type Settings } from './conf.ts';
import type { PgOptions } from './options.ts';
import { keepTaken } from './originals.ts';
import { postmasterPid, signal } from './process.ts';
import { readText } from './read_text.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { loginProblem } from './sessions.ts';

/** Milliseconds in which the postmaster takes up a signal, before it is asked what keeps it. */
const PATIENCE = 300;

/**
 * Take what the agent owns out of postgresql.auto.conf: it is read last and would win. `keep`: it is the
 * manager's own. Returns the names of what was taken.
 */
export async function cleanAutoConf(o: PgOptions, keep = false): Promise<string[]> {
  const path = join(o.dataDir, 'postgresql.auto.conf');
  const text = await readText(path);
  if (text === null) return [];
  const { kept, taken } = partAutoConf(text, o);
  if (taken.length === 0) return [];
  if (keep) keepTaken(o, taken);
  writeDurably(path, kept, PRIVATE);
  return taken.map((line) => (line.split('=')[0] ?? '').trim());
}

/**
 * On a running server: what ALTER SYSTEM has set of the agent's settings since is taken out, and out of
 * force.
 */
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

/**
 * Write the change; on a running server also load it. 'done' on a stopped one means that the file says so.
 * `objection`: asked of the running server once the files are written; with one, they are not loaded, and the
 * caller puts them right.
 */
export async function apply(
  server: Server,
  part: Partial<Omit<Settings, 'generation'>>,
  end: Deadline,
  claim: Claim,
  objection?: () => Promise<string | null>,
): Promise<Outcome & { running?: boolean }> {
  await server.settings.change(part, claim);
  const pid = await postmasterPid(server.o);
  if (pid === null) return { ...DONE, running: false };
  await cleanAutoConf(server.o);
  const why = (await objection?.()) ?? null;
  if (why !== null) return failed(why);
  const loaded = await reload(server, pid, end);
  return loaded.kind === 'done' ? { ...DONE, running: true } : loaded;
}

/**
 * A server that ended under a change leaves nothing to wait for: what was written is what its next start
 * reads.
 */
export async function unlessStopped<T extends Outcome>(server: Server, outcome: T): Promise<T | Outcome> {
  if (outcome.kind === 'done' || (await postmasterPid(server.o)) !== null) return outcome;
  return DONE;
}

/**
 * A fresh connection has the postmaster's own configuration, so one that shows the written generation proves
 * that the postmaster has loaded it, its pg_hba included: both are done before it accepts again.
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
    let last: unknown;
    let wrong: string | null = null;
    let patience = deadline(PATIENCE);
    const shown = await until(
      async () => {
        if (patience.over()) {
          wrong = await wrongSettings(server, Math.max(1, end.left()));
          patience = deadline(PATIENCE);
        }
        if (wrong !== null) return 'wrong';
        try {
          const rows = await link.fresh(
            "select current_setting('agent.generation', true) as g",
            Math.max(1, end.left()),
          );
          return rows[0]?.g === (await server.settings.get()).generation;
        } catch (error) {
          // The last one runs out of time, and would hide what it was before.
          if (last === undefined || !(error instanceof Timeout)) last = error;
          wrong = loginProblem(error);
          return wrong === null ? null : 'wrong';
        }
      },
      { timeout: end, every: 4 },
    );
    if (wrong !== null) return failed(wrong);
    return shown
      ? DONE
      : failed(`the server did not show the new settings in time (${String(last ?? 'no answer')})`);
  });
}

/**
 * A line that the server cannot read keeps everything else from being loaded too, and only its log says so. A
 * value that is refused, or waits for a restart, keeps nothing.
 */
async function wrongSettings({ link }: Server, ms: number): Promise<string | null> {
  const rows = await link
    .query(
      `select sourcefile as file, sourceline as line, error from pg_file_settings
       where error is not null and error <> 'setting could not be applied'`,
      ms,
    )
    .catch(() => []);
  if (rows.length === 0) return null;
  const lines = rows.map(
    ({ file, line, error }) => `${String(file)}, line ${String(line)}: ${String(error)}`,
  );
  return `PostgreSQL loads no settings until these lines are corrected: ${lines.join('; ')}`;
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
