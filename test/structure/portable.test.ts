import { expect, test } from 'bun:test';
import { code, sources } from './files.ts';
import { allImports } from './imports.ts';

/** `file:line` of each match in the code (comments left out) of the folders. */
function found(pattern: RegExp, ...folders: string[]): string[] {
  return folders.flatMap(sources).flatMap((file) =>
    code(file)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
  );
}

test('agent/ and cli/ use no API of Bun: Deno runs the same source', () => {
  expect(found(/\bBun\.[a-zA-Z]|\bBun\[/, 'agent', 'cli')).toEqual([]);
  expect(allImports('agent', 'cli').filter((item) => /^bun(:|$)/.test(item.to))).toEqual([]);
});

test('agent/ and cli/ use no API of Deno outside agent/platform, where a difference may be hidden', () => {
  const wrong = found(/\bDeno\.[a-zA-Z]/, 'agent', 'cli').filter((hit) => !hit.startsWith('agent/platform/'));
  expect(wrong).toEqual([]);
});

test('agent/core has no clock, timer, randomness or output: equal facts, equal decision', () => {
  const impure =
    /\bDate\.now|\bnew Date\(\)|\bperformance\b|\bMath\.random|\bcrypto\b|\bset(Timeout|Interval)\b|\bconsole\b|\bfetch\(|\bprocess\./;
  expect(found(impure, 'agent/core')).toEqual([]);
});
