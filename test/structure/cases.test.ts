import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './files.ts';

const folder = join(root, 'test', 'cases');
const FORM =
  /^\/\*\*\n \* Input: .+\n(?: \* {2,}.+\n)*? \* Right: .+\n(?: \* {2,}.+\n)*? \* Source: .+\n(?: \* {2,}.+\n)*? \*\/\n/;

test('every case says its input, what is right, and what kind of source it has', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  expect(
    files.filter(
      (name) => !name.endsWith('.test.ts') || !FORM.test(readFileSync(join(folder, name), 'utf8')),
    ),
  ).toEqual([]);
});
