/**
 * Take over a manager's existing data directory, without touching its data. wal_log_hints need not be on
 * before: cluster.conf switches it on with the first start, and nothing diverges earlier than that.
 */
import type { Outcome } from '../../core/postgres.ts';
import { makeDir } from '../../platform/files.ts';
import { dataState } from './facts.ts';
import { keptOf } from './kept.ts';
import type { PgOptions } from './options.ts';
import { dataFindings } from './preflight.ts';
import { postmasterPid } from './process.ts';
import { cleanAutoConf } from './reload.ts';
import { attempt, DONE, failed, type Server } from './server.ts';

export async function adopt(server: Server): Promise<Outcome> {
  const { o, settings } = server;
  return await attempt('adopt', async () => {
    const why = await unfit(o);
    if (why !== null) return failed(why);
    makeDir(o.confDir, 0o700);
    makeDir(o.socketDir, 0o700);
    // While ALTER SYSTEM's are still there.
    const kept = await keptOf(o, (await settings.get()).kept);
    await settings.writeAll({ fenced: true, kept }, server.claims.take('fence', null));
    await cleanAutoConf(o, true);
    return DONE;
  });
}

/** What keeps the directory from being clustered, with what to do; null when nothing does. */
async function unfit(o: PgOptions): Promise<string | null> {
  const data = await dataState(o);
  if (data !== 'ok') return `${o.dataDir} is ${data}: point data_dir at the manager's own data directory`;
  if ((await postmasterPid(o)) !== null) return `a server runs on ${o.dataDir}: stop it first`;
  // Looked at before anything was changed, too: what is found only here came in between.
  const { findings } = await dataFindings(o);
  const wrong = findings.filter(({ state }) => state === 'fail').map(({ what, mend }) => `${what}: ${mend}`);
  return wrong.length === 0 ? null : wrong.join('; ');
}
