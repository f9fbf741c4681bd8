/** Look at what is there before it is touched, and take away what a join made. */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome } from '../../core/postgres.ts';
import { deadline } from '../../platform/clock.ts';
import { syncDir } from '../../platform/files.ts';
import { peekControl } from './control.ts';
import { endServer } from './ending.ts';
import { emptyData } from './exchange.ts';
import { sortedBy } from './locales.ts';
import { holdsNothing, resolved, whyNoPlace } from './place.ts';
import type { Inspection } from './port.ts';
import { postmasterPid } from './process.ts';
import { majorOf } from './read_text.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { wipeSpaces } from './tablespace_folders.ts';

const STOP = 10_000;

export async function inspect(server: Server): Promise<Inspection> {
  const { o } = server;
  const unfit = whyNoPlace(o.dataDir);
  const version = await majorOf(o.dataDir);
  const runs = (await postmasterPid(o).catch(() => null)) !== null;
  return {
    empty: holdsNothing(o.dataDir),
    version,
    systemId: (await peekControl(o.dataDir))?.systemId ?? null,
    ...(unfit === undefined ? {} : { unfit }),
    ...(runs ? await sortedBy(server, version) : {}),
  };
}

export async function wipe(server: Server): Promise<Outcome> {
  const { o, settings, loss, claims } = server;
  // Nothing is to be written anew into what is emptied.
  claims.outdate(
    'upstream',
    'promotion',
    'list',
    'fence',
    'start',
    'slots',
    'identity',
    'certificates',
    'copy',
  );
  return await server.turns.stop(() =>
    attempt('wipe', async () => {
      loss.want(true);
      const left = await endServer(server, 'immediate', deadline(STOP));
      if (left !== null) {
        loss.want(false);
        return failed(left);
      }
      await wipeSpaces(o);
      await rm(`${resolved(o.dataDir)}.clone`, { recursive: true, force: true });
      await emptyData(o.dataDir);
      await empty(o.confDir);
      settings.forget();
      return DONE;
    }),
  );
}

/** The folder itself stays: it may be a mount, and its place need not be ours to make again. */
async function empty(dir: string): Promise<void> {
  if (!existsSync(dir)) return;
  for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true });
  syncDir(dir);
}
