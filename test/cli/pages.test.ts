/** Commands, options and keys of agent.yaml that the pages show are those that there are. */
import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandDef } from 'citty';
import { leaves } from '../../agent/config/leaves.ts';
import { root as tree } from '../../cli/tree.ts';

const root = join(import.meta.dirname, '../..');
const pages = ['README.md', 'CONTRIBUTING.md', 'docs', 'docs/decisions'].flatMap((at) =>
  at.endsWith('.md')
    ? [at]
    : readdirSync(join(root, at))
        .filter((name) => name.endsWith('.md'))
        .map((name) => `${at}/${name}`),
);
const text = (page: string) => readFileSync(join(root, page), 'utf8');

const COMMON = ['json', 'verbose', 'help'];
const resolved = async <T>(
  value: T | Promise<T> | (() => T | Promise<T>) | undefined,
): Promise<T | undefined> =>
  typeof value === 'function' ? await (value as () => T | Promise<T>)() : await value;

/** Calls as they stand in code: in a span all, in a block the lines that begin with the program. */
function callsIn(content: string): { words: string; sure: boolean }[] {
  const blocks = [...content.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
  const lines = blocks.flatMap((block) => [...block.matchAll(/^(?:\.\/|dist\/|\$)?agent ([a-z].*)$/gm)]);
  const prose = content.replaceAll(/^```[^\n]*\n[\s\S]*?^```/gm, '');
  const spans = [...prose.matchAll(/`(?:\.\/|dist\/)?agent ([a-z][^`\n]*)`/g)];
  return [
    ...lines.map(([, words = '']) => ({ words: words.replace(/#.*/, ''), sure: false })),
    ...spans.map(([, words = '']) => ({ words, sure: true })),
  ];
}

/**
 * What is wrong with a call; undefined: nothing. A line of a block whose first word is no command is no call.
 */
async function wrongWith({ words, sure }: { words: string; sure: boolean }): Promise<string | undefined> {
  let command: CommandDef = tree;
  let path = 'agent';
  for (const word of words.trim().split(/\s+/)) {
    const subs = await resolved(command.subCommands);
    if (subs === undefined || !/^[a-z-]+$/.test(word)) break;
    const next = await resolved(subs[word]);
    if (next === undefined) return sure || path !== 'agent' ? `no command '${path} ${word}'` : undefined;
    command = next as CommandDef;
    path += ` ${word}`;
  }
  const args = (await resolved(command.args)) ?? {};
  const known = Object.keys(args).map((name) => name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`));
  const asked = [...words.matchAll(/--([a-z-]+)/g)].map(([, name = '']) => name);
  const unknown = asked.find((name) => ![...known, ...COMMON].includes(name.replace(/^no-/, '')));
  return unknown === undefined ? undefined : `'${path}' has no --${unknown}`;
}

test('each command and option that a page shows exists', async () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const page of pages)
    for (const call of callsIn(text(page))) {
      seen += 1;
      const why = await wrongWith(call);
      if (why !== undefined) wrong.push(`${page}: ${why}`);
    }
  expect(wrong).toEqual([]);
  expect(seen).toBeGreaterThan(100);
});

test('one that does not exist is found', async () => {
  const page =
    'Run `agent cluster gone` or `agent install --nothing`.\n```\nagent cluster stop m1\nagent killed  shut\n```\n';
  const wrong = await Promise.all(callsIn(page).map(wrongWith));
  expect(wrong).toEqual([
    "no command 'agent cluster stop'",
    undefined,
    "no command 'agent cluster gone'",
    "'agent install' has no --nothing",
  ]);
});

test('each key of agent.yaml that a page names exists', () => {
  const keys = leaves().map(({ path }) => path.filter((part) => part !== '*').join('.'));
  const sections = new Set(keys.filter((key) => key.includes('.')).map((key) => key.split('.')[0] ?? ''));
  const isKey = (name: string) => keys.some((key) => key === name || key.startsWith(`${name}.`));
  const named = pages
    // Its table is of the core's calls: `files.lead`.
    .filter((page) => page !== 'docs/late-calls.md')
    .flatMap((page) =>
      [...text(page).matchAll(/`([a-z_]+(?:\.[a-z_]+)+)`/g)].map(([, name = '']) => ({ page, name })),
    )
    // `lease.ts` is a file.
    .filter(({ name }) => sections.has(name.split('.')[0] ?? '') && !name.endsWith('.ts'));
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter(({ name }) => !isKey(name))).toEqual([]);
});
