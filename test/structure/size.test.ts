import { expect, test } from 'bun:test';
import { sources, text } from './files.ts';

const limit = 250;

/** Files allowed to be longer, each with its reason. */
const longer: Record<string, string> = {};

test(`no file of agent/ and cli/ is longer than ${limit} lines: past that it has two ideas`, () => {
  const long = ['agent', 'cli']
    .flatMap(sources)
    .map((file) => ({ file, lines: text(file).trimEnd().split('\n').length }))
    .filter(({ file, lines }) => lines > limit && longer[file] === undefined);
  expect(long).toEqual([]);
});

test('a line of comment has at most 110 columns, as code has', () => {
  const wide = ['agent', 'cli', 'test']
    .flatMap(sources)
    .flatMap((file) =>
      text(file)
        .split('\n')
        .map((line, at) => ({ line, at: `${file}:${at + 1}` })),
    )
    .filter(({ line }) => /^\s*(\/\*\*|\*|\/\/) /.test(line) && line.length > 110)
    .map(({ at }) => at);
  expect(wide).toEqual([]);
});
