/** Dump every database of the (cut, readable) server. */

import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../errors.ts';
import { GROUP_READABLE, makeDir } from '../../platform/files.ts';
import { fingerprint } from '../../platform/fingerprint.ts';
import { runOk } from '../../platform/process.ts';
import { asPgOptions, ownSettings } from './query_settings.ts';
import type { Server } from './server.ts';
import { longest, toolEnv } from './tools.ts';

export type SavedFile = { file: string; bytes: number; sha256: string };

export type Dumps = {
  dumped: (SavedFile & { database: string })[];
  /** Why there is none, or not all. */
  left?: string;
};

export async function dumpDatabases(server: Server, dir: string): Promise<Dumps> {
  const { o, link } = server;
  const databases = await link.query(
    'select datname as name, pg_database_size(oid)::text as size from pg_database where datallowconn and not datistemplate order by 1',
    10_000,
  );
  const size = databases.reduce((sum, row) => sum + Number(row.size), 0);
  if (size > o.dumpLimit) return { dumped: [], left: `${size} bytes, over the limit of ${o.dumpLimit}` };

  const dumped: Dumps['dumped'] = [];
  makeDir(join(dir, 'dump'));
  for (const [i, row] of databases.entries()) {
    const database = String(row.name);
    // The name of a database may hold anything; that of a file may not.
    const file = `dump/${i}-${database.replace(/[^\w.-]/g, '_')}.dump`;
    try {
      await runOk(
        join(o.binDir, 'pg_dump'),
        [
          '-Fc',
          '--no-password',
          '-h',
          o.socketDir,
          '-p',
          String(o.port),
          '-U',
          o.superuser,
          '-f',
          join(dir, file),
          '--dbname',
          connectTo(database),
        ],
        // By its name it is the agent's own, which a fence leaves alone.
        {
          deadline: longest,
          env: { ...toolEnv(o), PGOPTIONS: asPgOptions(ownSettings), PGAPPNAME: link.name },
        },
      );
      await chmod(join(dir, file), GROUP_READABLE);
      dumped.push({ database, file, ...(await fingerprint(join(dir, file))) });
    } catch (error) {
      // What came of it is no dump, and takes room.
      await rm(join(dir, file), { force: true });
      return { dumped, left: `${database}: ${messageOf(error)}` };
    }
  }
  return { dumped };
}

const connectTo = (database: string): string => `dbname='${database.replace(/[\\']/g, (c) => `\\${c}`)}'`;
