/** What pages and comments point to: contracts by their short names, links with anchors, files. */
import { posix } from 'node:path';
import { code, text } from './files.ts';

/**
 * Which page a citation such as `PROTOCOL D.4` leads to. Its anchor is the point in lower case, with a
 * hyphen: `d-4`.
 */
export const CITED: Readonly<Record<string, string>> = {
  PROTOCOL: 'docs/protocol.md',
  CONTRACTS: 'docs/contracts.md',
  FAULTS: 'docs/faults.md',
};

/**
 * Written like a citation, and none: a word of SQL and its number, a chain and a position, a protocol and its
 * version. More go here.
 */
const NO_PAGE =
  /^(?:ANY|FIRST|CREATE|SELECT|INSERT|UPDATE|DELETE|LIMIT|LOGICAL|INPUT|OUTPUT|TLS|HTTP|SHA|RFC|PID|SEEDS)$/;

const citation =
  /\b([A-Z]{3,}(?:_[A-Z]+)*)(?:\.md)?(?: |\n *(?:\*|\/\/) )((?:[A-H](?:\.\d{1,2})?|\d{1,2})(?:(?:, | and | to )(?:[A-H](?:\.\d{1,2})?|\d{1,2})\b)*)(?![\w.]*\w)/g;
const bare = /(?<![\w./"'-])([A-H]\.\d{1,2})(?![\w.]*\w)/g;

export type Pointer = { from: string; line: number; to: string };

const lineOf = (content: string, index: number): number => content.slice(0, index).split('\n').length;

export const anchorOf = (point: string): string => point.toLowerCase().replace('.', '-');

/** Citations of a text, each as `PAGE#anchor`; of a page that nobody knows as `NAME POINT`. */
export function citationsOf(from: string, content: string = text(from)): Pointer[] {
  const found: Pointer[] = [];
  for (const match of content.matchAll(citation)) {
    const [, name = '', points = ''] = match;
    if (NO_PAGE.test(name)) continue;
    for (const point of points.split(/, | and | to /)) {
      const page = CITED[name];
      const to = page === undefined ? `${name} ${point}` : `${page}#${anchorOf(point)}`;
      found.push({ from, line: lineOf(content, match.index), to });
    }
  }
  for (const match of content.matchAll(bare))
    found.push({
      from,
      line: lineOf(content, match.index),
      to: `${CITED.PROTOCOL}#${anchorOf(match[1] ?? '')}`,
    });
  return found;
}

/** Rules cited by their numbers, as rows of the generated table: `rules 290 and 505`. */
export function rulesIn(from: string, content: string = text(from)): Pointer[] {
  return [...content.matchAll(/\brules? (\d{3}(?:(?:, | and | or )\d{3})*)/g)].flatMap((match) =>
    (match[1] ?? '')
      .split(/, | and | or /)
      .map((rule) => ({ from, line: lineOf(content, match.index), to: `| ${rule} |` })),
  );
}

/** A page without its blocks of code, line for line. */
export const prose = (content: string): string =>
  content.replaceAll(/^```[^\n]*\n[\s\S]*?^```/gm, (block) => block.replaceAll(/[^\n]/g, ''));

/** Links of a page within the repository, as `PATH#anchor` from its top. */
export function linksOf(from: string, content: string = text(from)): Pointer[] {
  const plain = prose(content).replaceAll(/`[^`\n]*`/g, (span) => ' '.repeat(span.length));
  return [...plain.matchAll(/\]\(([^)\s]+)\)/g)].flatMap((match) => {
    const target = match[1] ?? '';
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const page = path === '' ? from : posix.join(posix.dirname(from), path);
    return [
      { from, line: lineOf(plain, match.index), to: anchor === undefined ? page : `${page}#${anchor}` },
    ];
  });
}

/** The anchors of a page: of its headings, as GitHub names them, and those that are written out. */
export function anchorsOf(content: string): Set<string> {
  const anchors = new Set<string>();
  const plain = prose(content);
  for (const [, heading = ''] of plain.matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    let name = slug;
    for (let n = 1; anchors.has(name); n++) name = `${slug}-${n}`;
    anchors.add(name);
  }
  for (const [, id = ''] of plain.matchAll(/<a id="([^"]+)"><\/a>/g)) anchors.add(id);
  return anchors;
}

/** The comments of a source, line for line; of any other file all of it. */
function words(path: string): string {
  const content = text(path);
  if (!path.endsWith('.ts')) return content;
  const rest = code(path);
  let comments = '';
  // What the code still has at the same place is no comment.
  for (let at = 0; at < content.length; at++)
    comments += content[at] === rest[at] && content[at] !== '\n' ? ' ' : content[at];
  return comments;
}

const path = /(?<![\w./@{}~-])(?:agent|cli|test|docs|\.ci)\/[\w./*-]*[\w/*]/g;
const file = /(?<![\w./@*{}~-])(?:[\w-]+\/)*[\w-]+(?:\.[\w-]+)*\.(?:ts|md|sh)\b(?![\w(])/g;

/** Paths and names of files in a page or in the comments of a source, as they stand there. */
export function filesNamedIn(from: string, content: string = words(from)): Pointer[] {
  const found: Pointer[] = [];
  for (const pattern of [path, file])
    for (const match of content.matchAll(pattern))
      found.push({ from, line: lineOf(content, match.index), to: match[0] });
  return found;
}

/**
 * The words in quotes by which a page names tests: in the last column of its tables, in italics, and after
 * "covered by".
 */
export function testsNamedIn(content: string): string[] {
  const plain = prose(content);
  const places = [
    ...[...plain.matchAll(/^\| .* \|$/gm)].map(([row]) => row.replace(/ \|$/, '').split(' | ').at(-1) ?? ''),
    ...[...plain.matchAll(/(?<!\*)\*(?!\*)([^*]+)\*(?!\*)/g)].map(([, italics = '']) => italics),
    ...[...plain.matchAll(/[Cc]overed by [\s\S]*?(?=\n\n|\||$)/g)].map(([text]) => text),
  ];
  const quoted = places.flatMap((place) => [...place.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name));
  return quoted.map((name) => name.replaceAll(/\s+/g, ' ').replace(/ ?\.\.\.$/, ''));
}

/** Names of the code that a page says are in a file: "`a`, `b` in `path`". */
export function namesIn(from: string, content: string = text(from)): (Pointer & { name: string })[] {
  return [...content.matchAll(/((?:`\w+`(?:, | and )?)+) in `([\w./-]+\.ts)`/g)].flatMap((match) =>
    [...(match[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => ({
      from,
      line: lineOf(content, match.index),
      to: match[2] ?? '',
      name,
    })),
  );
}
