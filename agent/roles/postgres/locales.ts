/**
 * What the databases are sorted by. A machine that lacks a locale of theirs opens none of them; one whose
 * library sorts otherwise finds rows of an index no more.
 */
import { askServer } from './asked.ts';
import type { PgOptions } from './options.ts';
import type { Inspection } from './port.ts';
import type { Server } from './server.ts';

/** Milliseconds: the agent's own session, nobody waits for it long. */
const ASKING = 2000;
/** Everywhere, and sorted everywhere the same. */
const EVERYWHERE = ['', 'C', 'POSIX'];
/** More are never asked for. */
const MOST = 50;

const query = (version: number | null): string => {
  const database =
    version !== null && version >= 15
      ? "(select max(pg_database_collation_actual_version(oid)) from pg_database where datlocprovider = 'c')"
      : 'null';
  return `select json_build_object(
    'locales', (select coalesce(json_agg(distinct name), '[]') from (select datcollate::text as name from pg_database
      union select datctype::text from pg_database) as x),
    'libc', coalesce(${database}, (select max(pg_collation_actual_version(oid)) from pg_collation where collprovider = 'c')),
    'icu', (select pg_collation_actual_version(oid) from pg_collation where collname = 'und-x-icu')) as seen`;
};

type Seen = { locales: string[]; libc: string | null; icu: string | null };

/** Of the server that runs here; nothing where none answers. */
export async function sortedBy(
  { link }: Pick<Server, 'link'>,
  version: number | null,
): Promise<Pick<Inspection, 'locales' | 'collations'>> {
  try {
    const [row = {}] = await link.fresh(query(version), ASKING);
    const { locales, libc, icu } = row.seen as Seen;
    return {
      locales: locales.filter((name) => !EVERYWHERE.includes(name)).sort(),
      collations: { ...(libc === null ? {} : { libc }), ...(icu === null ? {} : { icu }) },
    };
  } catch {
    return {};
  }
}

/** Those that this machine lacks, by the server's own word. Throws when it cannot be asked. */
export async function missingLocales(
  { binDir }: Pick<PgOptions, 'binDir'>,
  locales: readonly string[],
): Promise<string[]> {
  const missing: string[] = [];
  for (const name of locales.slice(0, MOST)) {
    // Any category will do: what sorts cannot be set, and a locale has all of them.
    const said = await askServer({
      ...{ binDir, name: 'lc_time', dataDir: '/', configFile: '/dev/null' },
      ...{ over: { lc_time: name }, ms: 5000 },
    });
    if ('refused' in said && said.refused.some((why) => why.includes('lc_time'))) missing.push(name);
  }
  return missing;
}
