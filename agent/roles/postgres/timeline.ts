/**
 * Timeline history files in pg_wal: read, reserved ahead of a promotion, and cleared of what blocks a start.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { historyFileName, parseHistory, parseHistoryFileName } from '../../core/lsn.ts';
import type { Fork, Lsn, Outcome } from '../../core/postgres.ts';
import { PRIVATE, removeDurably, writeDurably } from '../../platform/files.ts';
import type { Claim } from './claims.ts';
import { readControl } from './control.ts';
import type { PgOptions } from './options.ts';
import { readText } from './read_text.ts';
import { attempt, DONE } from './server.ts';

const placeholder = '# number taken by another promotion\n';

const historyPath = (o: PgOptions, tli: number): string => join(o.dataDir, 'pg_wal', historyFileName(tli));

/**
 * Null when the file is missing or not readable as one; the first timeline has none and gives an empty list.
 */
export async function readHistory(o: PgOptions, tli: number): Promise<Fork[] | null> {
  if (tli === 1) return [];
  try {
    const text = await readText(historyPath(o, tli));
    return text === null ? null : parseHistory(text);
  } catch {
    return null;
  }
}

/**
 * A promotion takes the number after the newest history file that follows its own without a gap. A file
 * without parents is nobody's child, so no server follows it. The numbers below the current one are filled as
 * well: a standby that comes from far back asks its upstream for every file in between.
 */
export async function reserveTimelines(o: PgOptions, next: number, claim: Claim): Promise<Outcome> {
  return await attempt('reserve timelines', async () => {
    for (let tli = 2; tli < next; tli++) {
      claim.check();
      if (!existsSync(historyPath(o, tli))) writeDurably(historyPath(o, tli), placeholder, PRIVATE);
    }
    return DONE;
  });
}

/** The newest history file a server on timeline `own` would take for its target at a start. */
function newest(o: PgOptions, own: number): number {
  let tli = own;
  while (existsSync(historyPath(o, tli + 1))) tli++;
  return tli;
}

/**
 * Remove the newest history files that do not lead from the own position: reserved numbers whose promotion
 * never came, and a branch that left before it. A server that starts takes the newest file for its target
 * and, when that is no child, waits for ever without accepting connections (seen on 15.18).
 */
export async function trimHistory(o: PgOptions): Promise<void> {
  const own = await ownPlace(o);
  if (own === null) return;
  for (let tli = newest(o, own.timeline); tli > own.timeline; tli--) {
    const history = await readHistory(o, tli);
    const left = history?.find((fork) => fork.tli === own.timeline);
    if (left && left.lsn >= own.lsn) return;
    removeDurably(historyPath(o, tli));
  }
}

/**
 * Remove the numbers reserved last that no promotion followed. Cheap, and safe on a running standby. Late, it
 * would take away what the next candidacy has reserved.
 */
export async function trimReserved(o: PgOptions, claim: Claim): Promise<void> {
  const files = await readdir(join(o.dataDir, 'pg_wal')).catch(() => []);
  const numbers = files.flatMap((name) => parseHistoryFileName(name) ?? []).sort((a, b) => b - a);
  for (const tli of numbers) {
    const history = await readHistory(o, tli);
    if (history === null || history.length > 0) return;
    claim.check();
    removeDurably(historyPath(o, tli));
  }
}

/** At least this far has the server come, by its control file. */
async function ownPlace(o: PgOptions): Promise<{ timeline: number; lsn: Lsn } | null> {
  if (!existsSync(join(o.dataDir, 'global', 'pg_control'))) return null;
  const c = await readControl(o);
  if (c.minRecoveryTimeline > c.timeline) return { timeline: c.minRecoveryTimeline, lsn: c.minRecovery };
  const later = c.minRecovery > c.checkpoint;
  return { timeline: c.timeline, lsn: later ? c.minRecovery : c.checkpoint };
}
