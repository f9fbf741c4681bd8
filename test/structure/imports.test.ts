import { describe, expect, test } from 'bun:test';
import { sources, text } from './files.ts';
import { allImports, type Import, importsOf } from './imports.ts';
import { type Room, rooms } from './rooms.ts';

const imports = allImports('agent', 'cli');
const byDepth = rooms.toSorted((a, b) => b.name.length - a.name.length);

/** The room a file is in: the deepest that holds it. */
const roomOf = (path: string): Room | undefined =>
  byDepth.find(({ name }) => path === name || path.startsWith(`${name}/`));

const inHouse = (path: string) => /^(agent|cli|test)\//.test(path) || path === 'package.json';

/** Why this import may not be; undefined when it may. */
function refusal({ from, to, typeOnly }: Import): string | undefined {
  const room = roomOf(from);
  if (room === undefined) return 'is in no room';
  if (!inHouse(to)) {
    if (room.packages === 'any' || (room.packages === 'node' && to.startsWith('node:'))) return undefined;
    return `loads ${to}`;
  }
  const other = roomOf(to)?.name ?? to;
  if (other === room.name) return undefined;
  if (typeOnly && room.types.includes(other)) return undefined;
  if (!room.uses.includes(other)) return `imports ${typeOnly ? 'type ' : ''}${to}`;
  const only = room.only?.[other];
  if (only === undefined || typeOnly || only.test(to)) return undefined;
  return `imports ${to}, and of ${other} only ${only}`;
}

/** The first way round from a node back to itself, or undefined. */
function circleOf(arrows: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  function from(node: string, path: readonly string[]): string[] | undefined {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of arrows.get(node) ?? []) {
      const found = from(next, [...path, node]);
      if (found !== undefined) return found;
    }
    done.add(node);
    return undefined;
  }
  for (const node of arrows.keys()) {
    const found = from(node, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

describe('import direction', () => {
  for (const room of rooms) {
    test(`${room.name} imports what its row says: ${room.why}`, () => {
      const wrong = imports
        .filter((item) => roomOf(item.from) === room)
        .flatMap((item) => refusal(item)?.replace(/^/, `${item.from} `) ?? []);
      expect(wrong).toEqual([]);
    });
  }

  test('every file is in a room, and in agent/ itself lie main, errors and version alone', () => {
    const files = [...sources('agent'), ...sources('cli')];
    expect(files.filter((file) => roomOf(file) === undefined)).toEqual([]);
    const loose = files.filter((file) => /^agent\/[^/]+$/.test(file));
    expect(loose).toEqual(['agent/errors.ts', 'agent/main.ts', 'agent/version.ts']);
  });

  test('every row is in use: a room that is not there, or an arrow that nobody draws, is taken out of the table', () => {
    const unused = rooms.flatMap((room) => {
      const own = imports.filter((item) => roomOf(item.from) === room);
      if (
        sources('agent')
          .concat(sources('cli'))
          .every((file) => roomOf(file) !== room)
      )
        return [room.name];
      const drawn = (name: string, types: boolean) =>
        own.some(({ to, typeOnly }) => (roomOf(to)?.name ?? to) === name && typeOnly === types);
      return [
        ...room.uses.filter((name) => !drawn(name, false)).map((name) => `${room.name} -> ${name}`),
        ...room.types.filter((name) => !drawn(name, true)).map((name) => `${room.name} -> type ${name}`),
      ];
    });
    expect(unused).toEqual([]);
  });

  test('no room leads back to itself, by values or by types', () => {
    expect(
      circleOf(new Map(rooms.map((room) => [room.name, [...room.uses, ...room.types]]))),
    ).toBeUndefined();
  });

  test('no file leads back to itself at run time', () => {
    const arrows = new Map<string, string[]>();
    for (const { from, to, typeOnly, late } of imports) {
      // What is loaded when it is called closes no circle at the start: `agent completion` and the tree of
      // commands.
      if (!typeOnly && !late && inHouse(to)) arrows.set(from, [...(arrows.get(from) ?? []), to]);
    }
    expect(circleOf(arrows)).toBeUndefined();
  });

  test('no file of the core leads back to itself, by types either', () => {
    const arrows = new Map<string, string[]>();
    for (const { from, to } of imports) {
      if (from.startsWith('agent/core/')) arrows.set(from, [...(arrows.get(from) ?? []), to]);
    }
    expect(circleOf(arrows)).toBeUndefined();
  });

  test('docs/architecture.md has a line for each room', () => {
    const page = text('docs/architecture.md');
    const lacking = rooms.filter(
      ({ name }) => !page.includes(`\`${name.endsWith('.ts') ? name : `${name}/`}\``),
    );
    expect(lacking.map(({ name }) => name)).toEqual([]);
  });

  test('a relative import names its file with the extension, so that Deno finds it', () => {
    const wrong = imports.filter(
      (item) => /^(agent|cli|test)\//.test(item.to) && !/\.(ts|json)$/.test(item.to),
    );
    expect(wrong).toEqual([]);
  });

  test('a wrong import is caught, a type told from a value, and a circle found', () => {
    const content = [
      `import { a } from '../roles/postgres/start.ts';`,
      `import type { B } from '../consul/client.ts';`,
      `import 'node:fs';`,
      `export { c } from './c.ts';`,
      `const d = await import('./d.ts');`,
    ].join('\n');
    const refused = (from: string) =>
      importsOf(from, content).map((item) => [item.to, item.typeOnly, refusal(item) === undefined]);
    expect(refused('agent/core/x.ts')).toEqual([
      ['agent/roles/postgres/start.ts', false, false],
      ['agent/consul/client.ts', true, false],
      ['node:fs', false, false],
      ['agent/core/c.ts', false, true],
      ['agent/core/d.ts', false, true],
    ]);
    expect(refused('agent/checks/x.ts').map(([, , fine]) => fine)).toEqual([false, true, true, true, true]);
    expect(
      circleOf(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['b']],
        ]),
      ),
    ).toEqual(['b', 'c', 'b']);
    expect(
      circleOf(
        new Map([
          ['a', ['b', 'c']],
          ['b', ['c']],
        ]),
      ),
    ).toBeUndefined();
  });
});
