/**
 * The manager's own pg_hba.conf and pg_ident.conf, to be written into files of the agent's: what is relative
 * in them is relative to the file that says it, so it is made absolute, and included files take the place of
 * their line. Each line keeps where it is from.
 */
import { dirname, isAbsolute, join } from 'node:path';
import { readIfPossible } from '../../platform/files.ts';
import { confFilesIn } from './manager_conf.ts';
import { readText } from './read_text.ts';

/** One record, continued lines joined. */
export type RuleLine = { text: string; file: string; line: number };
type Token = { text: string; start: number; end: number; quoted: boolean };

const DEPTH = 10;
/** Versions from which files may include others, and lines may be continued. */
const [INCLUDES, CONTINUED] = [16, 14];

/** As next_token() of the server's hba.c. `quoted`: it begins with a quote, and means no file by an @. */
export function tokensOf(line: string): Token[] {
  const tokens: Token[] = [];
  const blank = (c: string | undefined) => c === ' ' || c === '\t' || c === '\r';
  let at = 0;
  for (;;) {
    while (blank(line[at]) || line[at] === ',') at++;
    if (at >= line.length || line[at] === '#') return tokens;
    const token: Token = { text: '', start: at, end: at, quoted: line[at] === '"' };
    let [inside, doubled] = [false, false];
    for (; at < line.length && (inside || !(blank(line[at]) || line[at] === ',' || line[at] === '#')); at++) {
      const c = line[at] ?? '';
      if (c !== '"' || doubled) token.text += c;
      doubled = inside && c === '"' ? !doubled : false;
      if (c === '"') inside = !inside;
    }
    tokens.push({ ...token, end: at });
  }
}

const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;

function withAbsoluteFiles(text: string, dir: string): string {
  const relative = tokensOf(text).filter(
    (token) => !token.quoted && /^@./s.test(token.text) && !isAbsolute(token.text.slice(1)),
  );
  return relative.reduceRight(
    (line, { start, end, text: name }) =>
      `${line.slice(0, start)}@${quote(join(dir, name.slice(1)))}${line.slice(end)}`,
    text,
  );
}

/** With what the files named by an @ hold in their place: for a machine that does not have them. */
export function withoutFiles(text: string, depth = 0): string {
  const files = tokensOf(text).filter((token) => !token.quoted && /^@\//.test(token.text));
  return files.reduceRight((line, { start, end, text: name }) => {
    const path = name.slice(1);
    const inside = depth < DEPTH ? readIfPossible(path) : undefined;
    if (inside === undefined) return line;
    const words = inside.split('\n').flatMap((one) => {
      const whole = withoutFiles(withAbsoluteFiles(one, dirname(path)), depth + 1);
      return tokensOf(whole).map((token) => whole.slice(token.start, token.end));
    });
    return `${line.slice(0, start)}${words.join(',')}${line.slice(end)}`;
  }, text);
}

function logicalLines(text: string, file: string, version: number): RuleLine[] {
  const lines: RuleLine[] = [];
  let open = false;
  for (const [index, raw] of text.split('\n').entries()) {
    const continues = version >= CONTINUED && raw.endsWith('\\');
    const part = continues ? raw.slice(0, -1) : raw;
    const last = lines.at(-1);
    if (open && last !== undefined) last.text += part;
    else lines.push({ text: part, file, line: index + 1 });
    open = continues;
  }
  return lines;
}

/**
 * `version`: the server's major one. Null: there is no such file. Throws what else keeps it from being read.
 */
export async function readRules(file: string, version: number, depth = 0): Promise<RuleLine[] | null> {
  const text = await readText(file);
  if (text === null) return null;
  const dir = dirname(file);
  const read: RuleLine[] = [];
  for (const line of logicalLines(text, file, version)) {
    const [word, name, ...more] = tokensOf(line.text);
    const kind = /^include(_if_exists|_dir)?$/.exec(word?.text ?? '');
    if (version < INCLUDES || kind === null || name === undefined || more.length > 0) {
      read.push({ ...line, text: withAbsoluteFiles(line.text, dir) });
      continue;
    }
    const path = isAbsolute(name.text) ? name.text : join(dir, name.text);
    for (const one of kind[1] === '_dir' ? confFilesIn(path) : [path]) {
      const included = depth < DEPTH ? await readRules(one, version, depth + 1) : null;
      // One that has to be there and is not is the server's to refuse.
      if (included === null && kind[1] !== '_if_exists')
        read.push({ ...line, text: `include ${quote(one)}` });
      read.push(...(included ?? []));
    }
  }
  return read;
}
