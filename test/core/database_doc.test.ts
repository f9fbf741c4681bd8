/**
 * docs/database.md names every setting that the agent manages and every finding that its look at a database
 * may have, and no others.
 */
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { managedNames } from '../../agent/roles/postgres/conf.ts';
import { type PgOptions, pgDefaults } from '../../agent/roles/postgres/options.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const page = read('docs/database.md');

/** The names in code in the first column of the table below `heading`. */
function firstColumn(heading: string): string[] {
  const part = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  const cells = part.split('\n').flatMap((line) => /^\| (`[^|]+) \|/.exec(line)?.[1] ?? []);
  return [
    ...new Set(cells.flatMap((cell) => [...cell.matchAll(/`([a-z_]+)`/g)].map((m) => m[1] ?? ''))),
  ].sort();
}

test('every setting that the agent manages is on the page, and nothing else', () => {
  const o: PgOptions = {
    ...pgDefaults,
    ...{
      node: 'n1',
      binDir: '/b',
      dataDir: '/d',
      confDir: '/c',
      socketDir: '/s',
      host: '10.0.0.1',
      port: 5432,
    },
    divergedDir: '/x',
    replicationAuth: 'certificate',
    starter: { start: async () => {}, pid: () => null, kill: () => {}, onExit: () => {} },
  };
  expect(firstColumn('What is changed')).toEqual([...managedNames(o)].sort());
});

test('every finding that refuses a start, or is told before it, is on the page, and nothing else', () => {
  const code = ['preflight', 'running_server', 'own_settings']
    .map((name) => read(`agent/roles/postgres/${name}.ts`))
    .join('\n');
  const told = [...code.matchAll(/\b(?:fail|warn)\(\s*'(\w+)'/g)].map((m) => m[1] ?? '');
  const marks = [
    ...code.matchAll(/^ {4,6}\[?\s*'(standby\.signal|recovery\.signal|backup_label|tablespace_map)'/gm),
  ].map((m) => (m[1] ?? '').replace('.', '_'));
  expect(marks).toHaveLength(4);
  // That it could not be looked at is no property of the database.
  const found = new Set([...told, ...marks].filter((id) => id !== 'preflight'));
  expect(firstColumn('What it must be like')).toEqual([...found].sort());
});
