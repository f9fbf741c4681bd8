import { expect, test } from 'bun:test';
import { code, sources } from './files.ts';

/** What a name is exported as, at the beginning of a line. */
const EXPORT = /^export (?:async )?(?:const|let|function\*?|class|interface|type) (\w+)/gm;

/**
 * Names that nothing of the product uses: neither another file, nor their own beside the line that makes
 * them.
 */
export function unusedIn(files: ReadonlyMap<string, string>): string[] {
  const uses = new Map<string, number>();
  for (const content of files.values())
    for (const [word] of content.matchAll(/[A-Za-z_$][\w$]*/g)) uses.set(word, (uses.get(word) ?? 0) + 1);
  return [...files].flatMap(([file, content]) =>
    [...content.matchAll(EXPORT)].flatMap(([, name = '']) =>
      uses.get(name) === 1 ? [`${file}: ${name}`] : [],
    ),
  );
}

test('each exported name is used by the product: what only tests use belongs to the tests', () => {
  const files = new Map([...sources('agent'), ...sources('cli')].map((file) => [file, code(file)]));
  expect(unusedIn(files)).toEqual([]);
});

test('a name that is used nowhere is found', () => {
  const files = new Map([
    [
      'a.ts',
      'export const used = 1;\nexport function alone() {}\nexport type Own = number;\nconst x: Own = 1;',
    ],
    ['b.ts', "import { used } from './a.ts';"],
  ]);
  expect(unusedIn(files)).toEqual(['a.ts: alone']);
});
