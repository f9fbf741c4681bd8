/** Clone: a copy of another member's data directory takes the place of the own. */
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Outcome, Upstream } from '../../core/postgres.ts';
import { makeDir, PRIVATE, syncDir, writeDurably } from '../../platform/files.ts';
import { runOk } from '../../platform/process.ts';
import { conninfoTo } from './conninfo.ts';
import { clearMark } from './marks.ts';
import type { PgOptions } from './options.ts';
import type { Progress } from './port.ts';
import { serverProcesses } from './process.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { cloneName } from './sessions.ts';
import { longest, reporter, toolEnv } from './tools.ts';

/** The replaced directory is kept beside until the next clone: what was in it may still be asked for. */
export const replacedDir = (o: PgOptions): string => `${o.dataDir}.replaced`;
/** Where a copy is written until it is complete. */
export const cloneDir = (o: PgOptions): string => `${o.dataDir}.clone`;

export async function basebackup(
  server: Server,
  from: Upstream,
  progress: Progress,
  signal: AbortSignal,
): Promise<Outcome> {
  const { o } = server;
  const copy = cloneDir(o);
  return await attempt('basebackup', async () => {
    if (serverProcesses(o.dataDir).length > 0) return failed('the own server runs: stop it first');
    const { tls } = await server.settings.writeAll({}, server.claims.take('copy', null));
    await rm(copy, { recursive: true, force: true });
    makeDir(dirname(copy));
    progress({ what: 'basebackup' });
    try {
      await runOk(
        join(o.binDir, 'pg_basebackup'),
        [
          '-D',
          copy,
          '-d',
          conninfoTo(o, tls, from, cloneName(o.node)),
          '-X',
          'stream',
          '-c',
          'fast',
          '-P',
          '--no-password',
        ],
        { deadline: longest, signal, env: toolEnv(o), onLine: reporter('basebackup', progress) },
      );
      // A clone is never to come up writable, whoever starts it.
      writeDurably(join(copy, 'standby.signal'), '', PRIVATE);
      await dropOwnParts(copy);
      progress({ what: 'moving into place' });
      await exchange(o, copy);
    } catch (error) {
      await rm(copy, { recursive: true, force: true });
      throw error;
    }
    clearMark(o);
    return DONE;
  });
}

/** What the source's agent or distribution keeps in its data directory for itself. */
async function dropOwnParts(dir: string): Promise<void> {
  for (const name of ['postmaster.opts', 'recovery.signal', 'backup_label.old']) {
    await rm(join(dir, name), { force: true });
  }
}

/** A crash between the two renames leaves no data directory, which shows as empty: the clone is made again. */
async function exchange(o: PgOptions, copy: string): Promise<void> {
  const parent = dirname(o.dataDir);
  await rm(replacedDir(o), { recursive: true, force: true });
  if (existsSync(o.dataDir)) {
    const holds = (await readdir(o.dataDir)).length > 0;
    if (holds) await rename(o.dataDir, replacedDir(o));
    else await rm(o.dataDir, { recursive: true });
  }
  await rename(copy, join(parent, basename(o.dataDir)));
  syncDir(parent);
}
