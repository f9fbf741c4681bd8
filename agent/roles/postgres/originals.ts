/** Where the manager's own settings and rules are: what its server would read, had the agent not come. */
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { PRIVATE, readIfPossible, writeDurably } from '../../platform/files.ts';
import { dataVersion } from '../../platform/paths.ts';
import { type ConfEntry, readConf } from './manager_conf.ts';
import type { PgOptions } from './options.ts';
import { type RuleLine, readRules, withoutFiles } from './rule_lines.ts';
import { writeText } from './write_text.ts';

type Places = Pick<PgOptions, 'dataDir' | 'originalConfig' | 'originalHba' | 'originalIdent'>;

/** What ALTER SYSTEM set, in the data directory. */
export const AUTO = 'postgresql.auto.conf';
/**
 * What ALTER SYSTEM had set and the cluster sets now: given back by teardown. In the data directory, as that
 * file is: copies have it too.
 */
const TAKEN = `${AUTO}.before_cluster`;
/** The rules of the manager that clients were last let in by, for one that has none of its own. */
const CARRIED = { hba: 'pg_hba.conf.of_cluster', ident: 'pg_ident.conf.of_cluster' };

export const takenFile = (o: Pick<PgOptions, 'dataDir'>): string => join(o.dataDir, TAKEN);

/** The manager's own postgresql.conf; null when there is none. */
export function originalConf(o: Places): string | null {
  const inData = join(o.dataDir, 'postgresql.conf');
  return o.originalConfig ?? (existsSync(inData) ? inData : null);
}

/** Everything that the manager sets, in the order in which it counts. */
export function ownEntries(o: Places): ConfEntry[] {
  const conf = originalConf(o);
  return [
    ...(conf === null ? [] : readConf(conf)),
    ...readConf(join(o.dataDir, AUTO)),
    ...readConf(takenFile(o)),
  ];
}

/**
 * Kept before they are taken out of postgresql.auto.conf. Repeated, a later value of a name replaces the
 * earlier one.
 */
export function keepTaken(o: Pick<PgOptions, 'dataDir'>, gone: readonly string[]): void {
  const nameOf = (line: string) => /^\s*([\w.]+)/.exec(line)?.[1]?.toLowerCase();
  const names = new Set(gone.map(nameOf));
  const before = (readIfPossible(takenFile(o)) ?? '').split('\n');
  const kept = before.filter((line) => line !== '' && !names.has(nameOf(line)));
  writeDurably(takenFile(o), `${[...kept, ...gone].join('\n')}\n`, PRIVATE);
}

export type Found = { path: string; by: string };

/** The file of rules that the manager's server reads. Null: it says none, and none is where it would be. */
export function rulesFile(o: Places, kind: 'hba' | 'ident'): Found | null {
  const set = ownEntries(o).findLast((entry) => entry.name === `${kind}_file`);
  const told = kind === 'hba' ? o.originalHba : undefined;
  const named: Found[] = [
    ...(told === undefined ? [] : [{ path: told, by: 'postgres.original_hba' }]),
    ...(set === undefined ? [] : placesOf(o, set).map((path) => ({ path, by: sourceOf(set) }))),
  ];
  const beside = kind === 'ident' && o.originalIdent !== undefined ? [o.originalIdent] : [];
  const usual = [...beside, join(o.dataDir, `pg_${kind}.conf`)].map((path) => ({ path, by: path }));
  return (named.length > 0 ? named : usual).find(({ path }) => existsSync(path)) ?? null;
}

/** Where a setting stands, for people. */
export const sourceOf = ({ name, file, line }: ConfEntry): string => `${name} in ${file}, line ${line}`;

/**
 * The server takes a relative path from where it was started, which nobody wrote down: these are the places
 * one means.
 */
export function placesOf(o: Pick<PgOptions, 'dataDir'>, { value, file }: ConfEntry): string[] {
  return isAbsolute(value) ? [value] : [join(o.dataDir, value), join(dirname(file), value)];
}

/**
 * The rules themselves, with the file they are from; null where this manager has none, and none were carried
 * here.
 */
export async function ownRules(o: Places, kind: 'hba' | 'ident'): Promise<RuleLine[] | null> {
  const version = dataVersion(o.dataDir) ?? 0;
  const found = rulesFile(o, kind);
  return await readRules(found?.path ?? join(o.dataDir, CARRIED[kind]), version);
}

/**
 * Into the data directory, which every copy has: a manager that joined empty lets in whom this one does. What
 * lies in its usual place there is copied without this.
 */
export async function carryRules(
  o: Places,
  kind: 'hba' | 'ident',
  rules: readonly RuleLine[],
): Promise<void> {
  const found = rulesFile(o, kind);
  if (found === null || found.path === join(o.dataDir, `pg_${kind}.conf`)) return;
  const text = rules.map((rule) => withoutFiles(rule.text)).join('\n');
  await writeText(join(o.dataDir, CARRIED[kind]), `${text.trimEnd()}\n`);
}
