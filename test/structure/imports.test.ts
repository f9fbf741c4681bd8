import { describe, expect, test } from 'bun:test';
import { allImports, type Import, importsOf } from './imports.ts';
import { layers } from './layers.ts';

const imports = allImports('agent', 'cli');

function allowed(item: Import): boolean {
  const layer = layers.find((row) => row.files.test(item.from));
  if (!layer) return true;
  const may = item.typeOnly ? [...layer.values, ...layer.types] : layer.values;
  return may.some((pattern) => pattern.test(item.to));
}

describe('import direction', () => {
  for (const layer of layers) {
    test(`${layer.files.source} imports downwards only: ${layer.why}`, () => {
      const wrong = imports
        .filter((item) => layers.find((row) => row.files.test(item.from)) === layer && !allowed(item))
        .map((item) => `${item.from} -> ${item.typeOnly ? 'type ' : ''}${item.to}`);
      expect(wrong).toEqual([]);
    });
  }

  test('a relative import names its file with the extension, so that Deno finds it', () => {
    const wrong = imports.filter(
      (item) => /^(agent|cli|test)\//.test(item.to) && !/\.(ts|json)$/.test(item.to),
    );
    expect(wrong).toEqual([]);
  });

  test('an upward import is caught, and a type import told from a value', () => {
    const content = [
      `import { a } from '../roles/act.ts';`,
      `import type { B } from '../consul/client.ts';`,
      `import 'node:fs';`,
      `export { c } from './c.ts';`,
      `const d = await import('./d.ts');`,
    ].join('\n');
    const found = importsOf('agent/core/x.ts', content);
    expect(found.map((item) => [item.to, item.typeOnly, allowed(item)])).toEqual([
      ['agent/roles/act.ts', false, false],
      ['agent/consul/client.ts', true, false],
      ['node:fs', false, false],
      ['agent/core/c.ts', false, true],
      ['agent/core/d.ts', false, true],
    ]);
  });
});
