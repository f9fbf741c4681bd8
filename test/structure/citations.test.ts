/**
 * What a page or a comment points to is there: the contract that it cites, the page and the anchor that it
 * links, the file that it names.
 */
import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  anchorsOf,
  CITED,
  citationsOf,
  filesNamedIn,
  linksOf,
  namesIn,
  type Pointer,
  rulesIn,
  testsNamedIn,
} from './citations.ts';
import { root, text } from './files.ts';

const git = spawnSync(
  'git',
  ['-c', `safe.directory=${root}`, 'ls-files', '-z', '-co', '--exclude-standard'],
  {
    cwd: root,
    encoding: 'utf8',
  },
);
const files = [...new Set(git.stdout.split('\0'))].filter(
  (path) => path !== '' && existsSync(join(root, path)),
);
const pages = files.filter((path) => path.endsWith('.md'));
const written = files.filter((path) =>
  /^(?:agent|cli|test|docs|\.ci)\/.+\.(?:ts|md|py|sh)$|^[^/]+\.(?:ts|md)$/.test(path),
);

const anchors = new Map(pages.map((page) => [page, anchorsOf(text(page))]));

/** `PATH` or `PATH#anchor`, from the top of the repository. */
function leadsSomewhere(to: string): boolean {
  const [path = '', anchor] = to.split('#');
  if (anchor === undefined) return existsSync(join(root, path));
  return anchors.get(path)?.has(anchor) ?? false;
}

/** A whole path or the end of one; a test by its name alone; a name in capitals stands for any. */
function isFile(name: string): boolean {
  if (/(?:^|\/)[A-Z_]+(?:\.test)?\.ts$/.test(name)) return true;
  const end = name.replace(/\/$/, '').replaceAll(/[.+]/g, '\\$&').replaceAll('*', '[^/]*');
  const found = new RegExp(`(?:^|/)${end}(?:/|$|\\.(?:test\\.|scenario\\.)?ts$)`);
  return files.some((path) => found.test(path));
}

const told = (wrong: Pointer[]) => [...new Set(wrong.map(({ from, line, to }) => `${from}:${line}: ${to}`))];

describe('what is pointed to is there', () => {
  test('each citation of a contract leads to its point on its page', () => {
    const cited = written
      // Texts of this very test.
      .filter((path) => !path.startsWith('test/structure/citations'))
      .flatMap((path) => citationsOf(path));
    expect(cited.length).toBeGreaterThan(200);
    expect(told(cited.filter(({ to }) => !leadsSomewhere(to)))).toEqual([]);
  });

  test('each rule that is cited by its number is in the table', () => {
    const table = text('docs/rules.md');
    const cited = written.filter((path) => !path.startsWith('test/')).flatMap((path) => rulesIn(path));
    expect(cited.length).toBeGreaterThan(10);
    expect(told(cited.filter(({ to }) => !table.includes(`\n${to}`)))).toEqual([]);
    expect(rulesIn('docs/x.md', 'see rules 290 and 999').map(({ to }) => to)).toEqual(['| 290 |', '| 999 |']);
  });

  test('each decision is listed by the title that its page has', () => {
    const listed = [...text('docs/decisions/README.md').matchAll(/^- \[(.+)\]\((.+)\)$/gm)];
    expect(listed.length).toBeGreaterThan(10);
    const wrong = listed.filter(
      ([, title, page = '']) => !text(`docs/decisions/${page}`).startsWith(`# ${title}\n`),
    );
    expect(wrong.map(([line]) => line)).toEqual([]);
  });

  test('each link of a page leads to a page and an anchor on it', () => {
    const links = pages.flatMap((page) => linksOf(page));
    expect(links.length).toBeGreaterThan(100);
    expect(told(links.filter(({ to }) => !leadsSomewhere(to)))).toEqual([]);
  });

  test('each file that a page or a comment names exists', () => {
    const named = written
      .filter((path) => !path.startsWith('test/structure/citations'))
      .flatMap((path) => filesNamedIn(path));
    expect(named.length).toBeGreaterThan(200);
    expect(told(named.filter(({ to }) => !isFile(to)))).toEqual([]);
  });

  test('each name of the code that a page finds in a file is in it', () => {
    const named = pages.flatMap((page) => namesIn(page));
    expect(named.length).toBeGreaterThan(15);
    const wrong = named.filter(
      ({ to, name }) => !new RegExp(`\\b${name}\\b`).test(isFile(to) ? text(to) : ''),
    );
    expect(wrong.map(({ from, line, to, name }) => `${from}:${line}: ${name} in ${to}`)).toEqual([]);
  });

  test('each test that a page names by its words is there', () => {
    const tests = files
      .filter(
        (path) => path.startsWith('test/') && path.endsWith('.ts') && !path.startsWith('test/structure/'),
      )
      .map((path) => text(path).replaceAll('’', "'"))
      .join('\n');
    for (const page of ['docs/lease.md', 'docs/replication.md', 'docs/safety.md']) {
      const named = testsNamedIn(text(page));
      expect(named.length).toBeGreaterThan(20);
      expect(
        named.filter((name) => !tests.includes(name.replaceAll('’', "'"))).map((n) => `${page}: ${n}`),
      ).toEqual([]);
    }
  });

  test('each page is found from README.md by following links', () => {
    const reached = new Set(['README.md']);
    for (const page of reached) {
      if (!pages.includes(page)) continue;
      // A link to a folder shows its README.
      for (const { to } of linksOf(page)) reached.add((to.split('#')[0] ?? '').replace(/\/$/, '/README.md'));
    }
    expect(pages.filter((page) => page.startsWith('docs/') && !reached.has(page))).toEqual([]);
  });
});

describe('what leads nowhere is found', () => {
  const at = (from: string) => (content: string) => citationsOf(from, content).map(({ to }) => to);
  const cited = at('agent/x.ts');

  test('a point, a list of points, a part, and a page that nobody knows', () => {
    expect(cited('/** As it must be (PROTOCOL D.4). */')).toContain(`${CITED.PROTOCOL}#d-4`);
    expect(cited(' * (CONTRACTS 5,\n * FAULTS\n * 12)')).toEqual([
      `${CITED.CONTRACTS}#5`,
      `${CITED.FAULTS}#12`,
    ]);
    expect(cited('// PROTOCOL A, D')).toEqual([`${CITED.PROTOCOL}#a`, `${CITED.PROTOCOL}#d`]);
    expect(cited('// DESIGN 5 and HANDBOOK.md 3')).toEqual(['DESIGN 5', 'HANDBOOK 3']);
    expect(leadsSomewhere(`${CITED.PROTOCOL}#d-4`)).toBe(true);
    expect(leadsSomewhere(`${CITED.PROTOCOL}#d-99`)).toBe(false);
    expect(leadsSomewhere('DESIGN 5')).toBe(false);
  });

  test('a link to a page or an anchor that is not there; what stands in code is none', () => {
    const page = 'See [a](lease.md#presets), [b](gone.md), [c](#nowhere), [d](https://x/y#z), `[e](f.md)`.\n';
    const links = linksOf('docs/x.md', page).map(({ to }) => to);
    expect(links).toEqual(['docs/lease.md#presets', 'docs/gone.md', 'docs/x.md#nowhere']);
    expect(links.map(leadsSomewhere)).toEqual([true, false, false]);
  });

  test('anchors are those of GitHub: headings, their repetitions, and what is written out', () => {
    const page = '# The lease: `a` & b\n## Twice\n## Twice\n| <a id="d-1"></a>D.1 |\n```\n# not this\n```\n';
    expect([...anchorsOf(page)]).toEqual(['the-lease-a--b', 'twice', 'twice-1', 'd-1']);
  });

  test('a test by its words, wherever a page names one; and a name of the code in a file', () => {
    const page =
      '| a | "no test" | lease: "one ..." |\n\nIt is *x: "two\n  words"*. Covered by y: "three".\n';
    expect(testsNamedIn(page)).toEqual(['one', 'two words', 'three']);
    const [name] = namesIn('docs/x.md', 'As `gone` in `agent/core/lease.ts`.');
    expect(name).toMatchObject({ name: 'gone', to: 'agent/core/lease.ts' });
  });

  test('a path, the end of one, a folder, a name; in a source only in its comments', () => {
    const source =
      "import './gone.ts';\n/** As in agent/gone/x.ts, errors.ts, `agent/core/` and core/lease.ts. */\n";
    const named = filesNamedIn('agent/x.ts', source.replace("'./gone.ts'", '           '));
    expect(named.map(({ to }) => [to, isFile(to)])).toEqual([
      ['agent/gone/x.ts', false],
      ['agent/core/', true],
      ['agent/gone/x.ts', false],
      ['errors.ts', true],
      ['core/lease.ts', true],
    ]);
  });
});
