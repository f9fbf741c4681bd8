/** The pages that a person wrote: what they link to is there, and the tests that they name are tests. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((p) => `docs/${p}`),
].filter((path) => path.endsWith('.md'));

describe('links', () => {
  test.each(pages)('of %s lead to files that exist', (page) => {
    const targets = [...read(page).matchAll(/\]\(([^)#]+)\)/g)].map((m) => m[1] ?? '');
    const missing = targets.filter((t) => !/^https?:/.test(t) && !existsSync(join(root, dirname(page), t)));
    expect(missing).toEqual([]);
  });
});

describe('folders and files named in the text', () => {
  test.each(pages)('of %s exist', (page) => {
    const named = [...read(page).matchAll(/`((?:agent|cli|test)\/[\w./-]+)`/g)].map((m) => m[1] ?? '');
    // NAME stands for any.
    const real = named.filter((path) => !path.includes('NAME'));
    expect(real.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

/** The names in quotes in the last column, without the dots that shorten them. */
function quoted(page: string): string[] {
  const cells = read(page)
    .split('\n')
    .filter((line) => /^\| [A-G]\.\d+ \|/.test(line))
    .map((line) => line.split(' | ').at(-1) ?? '');
  return cells.flatMap((cell) =>
    [...cell.matchAll(/"([^"]+)"/g)].map((m) => (m[1] ?? '').replace(/ ?\.\.\.$/, '')),
  );
}

describe('tests named in the tables of points', () => {
  const names = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !path.endsWith('docs.test.ts'))
    .map((path) => read(`test/${path}`).replaceAll('’', "'"))
    .join('\n');
  test.each(['docs/lease.md', 'docs/replication.md'])('of %s are there', (page) => {
    const cited = quoted(page);
    expect(cited.length).toBeGreaterThan(8);
    expect(cited.filter((name) => !names.includes(name.replaceAll('’', "'")))).toEqual([]);
  });
});
