/** Clone: a copy of another member's data directory takes the place of the own. */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Outcome, Upstream } from '../../core/postgres.ts';
import { makeDir, PRIVATE, writeDurably } from '../../platform/files.ts';
import { runOk } from '../../platform/process.ts';
import { conninfoTo } from './conninfo.ts';
import { exchange, tidied } from './exchange.ts';
import { clearMark } from './marks.ts';
import { placeOf } from './place.ts';
import type { Progress } from './port.ts';
import { serverProcesses } from './process.ts';
import { createRoom, sourceBytes, sourceSpaces } from './room.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { cloneName } from './sessions.ts';
import { clearStaged, lookAtAll, relink, stage, stagedIn } from './tablespace_folders.ts';
import { longest, reporter, toolEnv } from './tools.ts';

export async function basebackup(
  server: Server,
  from: Upstream,
  progress: Progress,
  signal: AbortSignal,
): Promise<Outcome> {
  const { o } = server;
  return await attempt('basebackup', async () => {
    if (serverProcesses(o.dataDir).length > 0) return failed("this node's server is running: stop it first");
    const place = placeOf(o.dataDir);
    await tidied();
    const { copy } = place;
    const { tls } = await server.settings.writeAll({}, server.claims.take('copy', null));
    await rm(copy, { recursive: true, force: true });
    makeDir(dirname(copy));
    const source = conninfoTo(o, tls, from, cloneName(o.node), o.database);
    const spaces = await sourceSpaces(o, source, signal);
    lookAtAll(place.dir, spaces);
    await stage(o, spaces);
    const room = createRoom(place, spaces);
    progress({ what: 'basebackup' });
    try {
      room.needs(await sourceBytes(o, source, signal));
      room.tooLittle.throwIfAborted();
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
          ...spaces.map(({ location }) => mapping(location, stagedIn(location))),
        ],
        {
          deadline: longest,
          signal: AbortSignal.any([signal, room.tooLittle]),
          env: toolEnv(o),
          onLine: reporter('basebackup', (step) => {
            room.needsAltogether(step.total ?? 0);
            progress(step);
          }),
        },
      );
      // A clone is never to come up writable, whoever starts it.
      writeDurably(join(copy, 'standby.signal'), '', PRIVATE);
      await dropOwnParts(copy);
      await relink(copy);
      progress({ what: 'moving into place' });
      await exchange(o, place);
    } catch (error) {
      await rm(copy, { recursive: true, force: true });
      await clearStaged(o);
      throw room.tooLittle.aborted ? room.tooLittle.reason : error;
    }
    clearMark(o);
    await clearStaged(o);
    return DONE;
  });
}

function mapping(from: string, to: string): string {
  const escaped = (path: string) => path.replaceAll('=', '\\=');
  return `--tablespace-mapping=${escaped(from)}=${escaped(to)}`;
}

/** What the source's agent or distribution keeps in its data directory for itself. */
async function dropOwnParts(dir: string): Promise<void> {
  for (const name of ['postmaster.opts', 'recovery.signal', 'backup_label.old']) {
    await rm(join(dir, name), { force: true });
  }
}
