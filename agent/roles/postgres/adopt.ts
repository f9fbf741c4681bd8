/**
 * Take over a manager's existing data directory, without touching its data. wal_log_hints need not be on before:
 * cluster.conf switches it on with the first start, and nothing diverges earlier than that.
 */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { Outcome } from '../../core/postgres.ts';
import { makeDir } from '../../platform/files.ts';
import { runOk } from '../../platform/process.ts';
import { dataState } from './facts.ts';
import type { PgOptions } from './options.ts';
import { postmasterPid } from './process.ts';
import { readText } from './read_text.ts';
import { cleanAutoConf } from './reload.ts';
import { attempt, DONE, failed, type Server } from './server.ts';

export async function adopt(server: Server): Promise<Outcome> {
  const { o, settings } = server;
  return await attempt('adopt', async () => {
    const why = await unfit(o);
    if (why !== null) return failed(why);
    makeDir(o.confDir, 0o700);
    makeDir(o.socketDir, 0o700);
    await settings.writeAll({ fenced: true }, server.claims.take('fence', null));
    await cleanAutoConf(o, true);
    return DONE;
  });
}

/** What keeps the directory from being clustered, with what to do; null when nothing does. */
async function unfit(o: PgOptions): Promise<string | null> {
  const data = await dataState(o);
  if (data !== 'ok') return `${o.dataDir} is ${data}: point data_dir at the manager's own data directory`;
  if ((await postmasterPid(o)) !== null) return `a server runs on ${o.dataDir}: stop it first`;

  const owner = (await stat(o.dataDir)).uid;
  const self = process.getuid?.();
  if (owner !== self) return `${o.dataDir} belongs to user ${owner}, not to ${self}: run as its owner`;

  const own = ((await readText(join(o.dataDir, 'PG_VERSION'))) ?? '').trim();
  const { stdout } = await runOk(join(o.binDir, 'postgres'), ['--version'], { deadline: 5000 });
  const installed = /(\d+)/.exec(stdout)?.[1] ?? '?';
  if (own !== installed)
    return `the data is of PostgreSQL ${own}, ${o.binDir} is of ${installed}: set bin_dir to that of ${own}`;
  if (Number(own) < 13 || Number(own) > 18) return `PostgreSQL ${own} is not supported: 13 to 18 are`;

  const spaces = join(o.dataDir, 'pg_tblspc');
  if (existsSync(spaces) && (await readdir(spaces)).length > 0) {
    return 'tablespaces outside the data directory are not supported: move their tables to pg_default';
  }
  return null;
}
