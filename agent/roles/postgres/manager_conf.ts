/**
 * The manager's own configuration files, read by the grammar that the server reads them by (guc-file.l). No
 * process is started for it: this is on the way of every start. What the server would refuse is left for the
 * server to say.
 */
import { readdirSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { readIfPossible } from '../../platform/files.ts';

/** One line of a file. `name` is in small letters; the last one of a name is the one in force. */
export type ConfEntry = { name: string; value: string; file: string; line: number };

/** As deep as the server follows includes. */
const DEPTH = 10;
const LINE =
  /^\s*([a-z_\u0080-\uffff][\w$.\u0080-\uffff]*)(?:\s*=\s*|\s+)(?:'((?:[^'\\]|\\.|'')*)'|([^\s'#=]+))\s*(?:#.*)?$/i;
const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

const unquoted = (text: string): string =>
  text.replace(/''|\\([0-7]{1,3})|\\(.)/g, (_, octal?: string, char?: string) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    return char === undefined ? "'" : (ESCAPES[char] ?? char);
  });

/** What is read, and what lies in a folder. Neither throws. */
export interface Files {
  read(path: string): string | undefined;
  list(dir: string): readonly string[];
}

const real: Files = {
  read: readIfPossible,
  list(dir) {
    try {
      return readdirSync(dir);
    } catch {
      return [];
    }
  },
};

/**
 * Every setting of a file and of what it includes, in the order in which they count. Nothing of a file that
 * cannot be read.
 */
export function readConf(file: string, files = real, depth = 0): ConfEntry[] {
  const text = depth > DEPTH ? undefined : files.read(file);
  return (text ?? '').split('\n').flatMap((line, index): ConfEntry[] => {
    const [, word = '', quoted, plain = ''] = LINE.exec(line) ?? [];
    if (word === '') return [];
    const [name, value] = [word.toLowerCase(), quoted === undefined ? plain : unquoted(quoted)];
    const path = isAbsolute(value) ? value : join(dirname(file), value);
    if (name === 'include' || name === 'include_if_exists') return readConf(path, files, depth + 1);
    if (name === 'include_dir')
      return confFilesIn(path, files).flatMap((one) => readConf(one, files, depth + 1));
    return [{ name, value, file, line: index + 1 }];
  });
}

/** The files that an include_dir means, in the server's order. */
export function confFilesIn(dir: string, files = real): string[] {
  const names = files.list(dir).filter((name) => name.endsWith('.conf') && !name.startsWith('.'));
  return names.sort((a, b) => (a < b ? -1 : 1)).map((name) => join(dir, name));
}
