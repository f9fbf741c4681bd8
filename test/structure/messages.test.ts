import { expect, test } from 'bun:test';
import { text } from './files.ts';
import { isProse, literalsOf, messagesPage } from './messages.ts';

test('docs/messages.md is what the code says now (npm run messages)', () => {
  expect(text('docs/messages.md')).toBe(messagesPage());
});

test('literals are found in strings and templates, not in comments and regular expressions', () => {
  const source = [
    `// it's a comment`,
    `const a = 'one two'; /* "no" */`,
    ['const b = `x $', '{when ? `is $', '{c} here` : "other"} y`;'].join(''),
    `const d = /'no/.test(e) ? "it's" : 'a\\'b';`,
  ].join('\n');
  expect(literalsOf(source)).toEqual([
    { line: 2, text: 'one two' },
    { line: 3, text: 'x {...} y' },
    { line: 3, text: 'is {c} here' },
    { line: 3, text: 'other' },
    { line: 4, text: "it's" },
    { line: 4, text: "a'b" },
  ]);
});

test.each([
  ['the database is not running', true],
  ['{node} is no Consul server', true],
  ['drop the slot yourself', true],
  ['select pg_reload_conf() as done', false],
  ['postgres', false],
  ['--no-password', false],
  ['../config/index.ts', false],
])('%p is prose: %p', (literal, expected) => {
  expect(isProse(literal)).toBe(expected);
});
