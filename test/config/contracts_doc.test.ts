/**
 * What docs/contracts.md says in its tables of checks, exit codes and calls is what the code has, no more and
 * no less.
 */
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentApi } from '../../agent/api/types.ts';
import { CHECK_DEFAULTS } from '../../agent/config/checks.ts';
import { EXIT } from '../../agent/errors.ts';
import { cfyRoutes } from '../../agent/http/cfy.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/contracts.md'), 'utf8');

/**
 * The rows of the first table below a heading that begins with `heading` whose first line holds `column`,
 * cell by cell.
 */
function rowsBelow(heading: string, column: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  const table = section.split('\n\n').find((block) => block.startsWith(`| ${column} |`)) ?? '';
  const rows = table.trim().split('\n').slice(2);
  return rows.map((row) => row.replace(/^\| | \|$/g, '').split(' | '));
}

test('each check, its column, its times and whether it is critical', () => {
  const told = rowsBelow('7.', 'check').map(([name = '', group, every, ttl, critical]) => [
    name.replaceAll('`', ''),
    { group, every, ttl, critical },
  ]);
  const defaults = Object.entries(CHECK_DEFAULTS).map(([name, { group, every, ttl, critical }]) => [
    name,
    { group, every: `${every} s`, ttl: `${ttl} s`, critical: critical ? 'yes' : 'no' },
  ]);
  expect(Object.fromEntries(told)).toEqual(Object.fromEntries(defaults));
});

test('each exit code', () => {
  expect(rowsBelow('13.', 'exit code').map(([code]) => Number(code))).toEqual(Object.values(EXIT));
});

test('each call of the clients of Cloudify 4.x', () => {
  const told = rowsBelow('11.', 'call').flatMap(([calls = '']) =>
    [...calls.matchAll(/`([A-Z]+) (\/[\w/]+)`/g)].map(([, method, path]) => `${method} ${path}`),
  );
  const routes = cfyRoutes({} as AgentApi, { edition: '', version: '' }).routes;
  const built = routes.map(({ method, path }) => `${method} ${path.replace(':name', 'NAME')}`);
  expect([...told].sort()).toEqual([...new Set(built)].sort());
});
