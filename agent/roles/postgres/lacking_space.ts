/**
 * A tablespace was made on the active, and its folder is not here: the standby ends at that record, while it
 * starts or when it accepts connections already, and does so again each time. Nobody could know the path
 * before the statement. It is read from the WAL that is to be replayed, and not from the log, which may be in
 * any place and language, and nobody's to read.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn, parseLsn, parseWalFileName } from '../../core/lsn.ts';
import type { Lsn, Outcome } from '../../core/postgres.ts';
import type { Deadline } from '../../platform/clock.ts';
import { run } from '../../platform/process.ts';
import { ENDED } from './complaint.ts';
import { type Control, readControl } from './control.ts';
import type { PgOptions } from './options.ts';
import { readText } from './read_text.ts';
import { DONE, failed } from './server.ts';
import { makeForReplay, there } from './tablespace_folders.ts';

type Places = Pick<PgOptions, 'binDir' | 'dataDir'>;

/** Milliseconds for the WAL of one timeline: what was found by then is made, the rest at the next try. */
const READING = 5000;

/** Paths of tablespaces as pg_waldump lists them. An in-place one has none. */
export const pathsIn = (listing: string): string[] =>
  [...listing.matchAll(/desc: CREATE \d+ "(\/.*)"$/gm)].map((found) => found[1] ?? '');

/** Where replay begins: in a copy that was never started its own file says it, and not the control file. */
async function replayFrom({ dataDir }: Places, control: Control): Promise<Lsn> {
  const label = (await readText(join(dataDir, 'backup_label'))) ?? '';
  const start = /^START WAL LOCATION: (\S+)/m.exec(label)?.[1];
  return start === undefined ? control.redo : parseLsn(start);
}

/**
 * Every tablespace that the WAL on this disk makes from there on; it ends where it is not readable any more.
 */
async function toBeMade(o: Places, control: Control, end: Deadline): Promise<string[]> {
  const wal = join(o.dataDir, 'pg_wal');
  const from = await replayFrom(o, control);
  const first = new Map<number, Lsn>();
  for (const name of (await readdir(wal)).sort()) {
    const segment = parseWalFileName(name, control.segmentSize);
    if (segment === null || segment.timeline < control.timeline) continue;
    if (segment.start + control.segmentSize <= from || first.has(segment.timeline)) continue;
    let { start } = segment;
    if (start < from) start = from;
    first.set(segment.timeline, start);
  }
  const paths: string[] = [];
  for (const [timeline, start] of first) {
    const args = ['-p', wal, '-t', String(timeline), '-s', formatLsn(start), '-r', 'Tablespace'];
    const read = await run(join(o.binDir, 'pg_waldump'), args, {
      deadline: Math.max(1, Math.min(READING, end.left() / 2)),
      env: { LC_ALL: 'C', LANGUAGE: undefined },
    });
    paths.push(...pathsIn(read.stdout));
  }
  return paths;
}

/** Left by a standby that did not end in peace. */
export const brokeOff = async (o: Places): Promise<boolean> =>
  (await readControl(o)).state === 'in archive recovery';

/**
 * Makes what replay lacks, where its user may; else says what to do. Null where it lacks nothing, or this
 * could not be told in time.
 */
export async function makeLacking(o: Places, end: Deadline): Promise<Outcome | null> {
  let paths: string[];
  try {
    paths = await toBeMade(o, await readControl(o), end);
  } catch {
    return null; // the server's own words say more
  }
  try {
    const lacking = paths.filter((path) => !there(path));
    for (const path of new Set(lacking)) makeForReplay(o.dataDir, path);
    return lacking.length === 0 ? null : DONE;
  } catch (thrown) {
    return failed(`${ENDED}: ${failed(thrown).why}`);
  }
}
