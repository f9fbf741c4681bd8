import { describe, expect, test } from 'bun:test';
import { posix } from 'node:path';
import { code, sources, text } from './files.ts';
import { allImports } from './imports.ts';
import { owners, tellers } from './owners.ts';

const CORE = 'agent/core';
const PARTS = Object.keys(owners);
const files = [...sources('agent'), ...sources('cli')];
const fromCore = (file: string) => posix.relative(CORE, file);

const part = `(?:${PARTS.join('|')})`;
const step = '(?:[?!]?\\.\\w+|[?!]?\\.?\\[[^\\]]*\\])';
const put = '(?:=(?![=>])|\\+\\+|--|(?:\\?\\?|\\|\\||&&|[-+*/%&|^]|\\*\\*|<<|>>>?)=)';
const change = '\\.(?:push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|set|add|delete|clear)\\(';
/**
 * `n.part = `, `x.node.part.field.deeper += `, `delete n.part.field`, `n.part.list.push(`,
 * `Object.assign(n.part, `
 */
const whoever = '(?:\\b(?:n|node|context|self)[?!]?)';
const writes = [
  new RegExp(`${whoever}\\.(${part})${step}*\\s*${put}`, 'g'),
  new RegExp(`(?:\\+\\+|--|\\bdelete )[\\w.?]*${whoever}\\.(${part})\\b`, 'g'),
  new RegExp(`${whoever}\\.(${part})${step}+?${change}`, 'g'),
  new RegExp(
    `\\b(?:Object\\.(?:assign|defineProperty)|Reflect\\.set)\\([\\w.?]*${whoever}\\.(${part})\\b`,
    'g',
  ),
];

/** The lines of a type of node.ts. */
const body = (name: string): string =>
  new RegExp(`type ${name} = \\{([\\s\\S]*?)\\n\\};`).exec(code(`${CORE}/node.ts`))?.[1] ?? '';
const partTypes = new Set([...body('Parts').matchAll(/: (\w+);/g)].map(([, name = '']) => name));

/** The parts that this text writes to, by how it is written. */
const writtenIn = (content: string): string[] => [
  ...new Set(writes.flatMap((pattern) => [...content.matchAll(pattern)].map(([, name = '']) => name))),
];

describe('what an agent remembers is written by its owners alone', () => {
  test('no other file assigns to a part or to anything in it', () => {
    const foreign = files.flatMap((file) =>
      writtenIn(code(file)).flatMap((name) =>
        owners[name]?.includes(fromCore(file)) ? [] : [`${file} writes ${name}`],
      ),
    );
    expect(foreign).toEqual([]);
  });

  test('a value is handed out for writing to its owners alone', () => {
    const wrong = files.flatMap((file) =>
      [...code(file).matchAll(/\bOwning<([^>]*)>/g)].flatMap(([, names = '']) =>
        [...names.matchAll(/['"](\w+)['"]/g)].flatMap(([, name = '']) =>
          owners[name]?.includes(fromCore(file)) ? [] : [`${file}: ${name}`],
        ),
      ),
    );
    expect(wrong).toEqual([]);
  });

  test('the type by which a part can be written is named by its owner and by node.ts alone', () => {
    const wrong = files.flatMap((file) => {
      if (file === `${CORE}/node.ts`) return [];
      return [
        ...code(file).matchAll(/\bimport (type )?\{([^}]*)\} from ['"][^'"]*\/memory\/(\w+)\.ts['"]/g),
      ].flatMap(([, all, names = '']) =>
        names.split(',').flatMap((name) => {
          const given = /^\s*(?:type )?([A-Z]\w*)/.exec(name)?.[1];
          const isPart = given !== undefined && partTypes.has(given);
          return isPart ? [`${file} names ${all ?? ''}${given}`] : [];
        }),
      );
    });
    expect(wrong).toEqual([]);
  });

  test('a file tells those parts of what happened that its line names, and every line is so', () => {
    const told = new Map<string, Set<string>>();
    for (const { from, to } of allImports('agent', 'cli').filter(({ typeOnly }) => !typeOnly)) {
      const name = PARTS.find((p) =>
        owners[p]?.some((owner) => to === `${CORE}/${owner}` && isPartFile(owner)),
      );
      if (name === undefined || from === `${CORE}/node.ts`) continue;
      told.set(fromCore(from), (told.get(fromCore(from)) ?? new Set()).add(name));
    }
    const found = Object.fromEntries([...told].map(([file, names]) => [file, [...names].sort()]));
    expect(found).toEqual(tellers as Record<string, string[]>);
  });

  test('each part and value has an owner, each owner writes it, and there is no other file in memory/', () => {
    const fields = ['Heard', 'Parts'].flatMap((name) =>
      [...body(name).matchAll(/^ {2}(\w+):/gm)].map(([, field = '']) => field),
    );
    expect(fields.sort()).toEqual(PARTS.toSorted());
    const own = PARTS.flatMap((name) => owners[name] ?? []).filter(isPartFile);
    expect(own.map((file) => `${CORE}/${file}`).sort()).toEqual(sources(`${CORE}/memory`).sort());
    const idle = PARTS.flatMap((name) =>
      (owners[name] ?? [])
        .filter((file) => !isPartFile(file) && !writtenIn(code(`${CORE}/${file}`)).includes(name))
        .map((file) => `${file} does not write ${name}`),
    );
    expect(idle).toEqual([]);
  });

  test('each field of a part says what it is', () => {
    const bare = sources(`${CORE}/memory`).flatMap((file) => {
      const type = /export type (?:Holding|Candidacy|Failures|\w+Memory) = \{\n([\s\S]*?)\n\};/.exec(
        text(file),
      );
      const lines = (type?.[1] ?? '').split('\n');
      if (type === null) return [`${file} has no part`];
      return lines.flatMap((line, i) =>
        /^ {2}\w+:/.test(line) && !/\*\/$/.test(lines[i - 1] ?? '') ? [`${file}: ${line.trim()}`] : [],
      );
    });
    expect(bare).toEqual([]);
  });

  test.each([
    ["n.fence.state = 'open';", 'fence'],
    ['n.fence.running -= 1;', 'fence'],
    ['cluster.node.services.repairs++;', 'services'],
    ['--n.services.repairs;', 'services'],
    ['n.fence.outageSince ??= at;', 'fence'],
    ['n.failures.restarts.push(at);', 'failures'],
    ["n.copy.durable.clone = 'x';", 'copy'],
    ["node.view!.nodes['a'] = record;", 'view'],
    ['n.lease = { ...n.lease, right: null };', 'lease'],
    ['n.db = newDatabase();', 'db'],
    ['Object.assign(n.main, { acting: null });', 'main'],
    ['delete n.candidacy.ballot;', 'candidacy'],
  ])('a foreign write is caught: %s', (line, name) => {
    expect(writtenIn(line)).toEqual([name]);
  });
  test.each([
    "if (n.fence.state === 'open') return;",
    'const open = n.fence.openUntil >= at;',
    'const { lease } = n;',
    'shut(n.fence);',
    'const f = () => n.lease;',
    "const fork = n.db.facts.walSenders.some((s) => s.state === 'streaming');",
    'policy.retryPeriod = 5;',
  ])('reading is none: %s', (line) => {
    expect(writtenIn(line)).toEqual([]);
  });
});

function isPartFile(owner: string): boolean {
  return owner.startsWith('memory/');
}
