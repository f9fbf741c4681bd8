/** PostgreSQL's own programs that connect to another member. */

import { passFile } from './conninfo.ts';
import type { PgOptions } from './options.ts';
import type { Progress } from './port.ts';
import { asPgOptions, plainSettings } from './query_settings.ts';

/** Long tasks end by their own doing or by their signal; this only keeps them from hanging for ever. */
export const longest = 24 * 3600_000;

export const toolEnv = (o: PgOptions): Record<string, string | undefined> => ({
  LC_ALL: 'C',
  LANGUAGE: undefined,
  // No translation of what is parsed here, and no surprise from the agent's own environment.
  PGPASSFILE: typeof o.replicationAuth === 'string' ? undefined : passFile(o),
  PGHOST: undefined,
  PGPORT: undefined,
  PGUSER: undefined,
  PGDATABASE: undefined,
  PGOPTIONS: asPgOptions(plainSettings),
  PGDATA: undefined,
  PGSSLMODE: undefined,
});

/** Lines of a progress display, '1234/5678 kB (21%)', as bytes; others are told as what happens now. */
export function reporter(what: string, progress: Progress): (line: string) => void {
  return (line) => {
    const step = parseProgress(line);
    if (step) progress({ what, ...step });
  };
}

export function parseProgress(line: string): { bytes: number; total: number } | null {
  const match = /^\s*(\d+)\/(\d+) kB/.exec(line);
  return match ? { bytes: Number(match[1]) * 1024, total: Number(match[2]) * 1024 } : null;
}
