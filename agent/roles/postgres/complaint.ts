/**
 * Why a server ended while it started, in its own words. Read from where it logs: standard error, or the
 * files of its collector, which `current_logfiles` names. Severities are translated (lc_messages), so none is
 * looked for by its English word: SQLSTATE tells where a format has it, and elsewhere the word that the
 * server's first line has, which is that of plain news.
 */
import { Buffer } from 'node:buffer';
import { open, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { readIfPossible } from '../../platform/files.ts';
import type { PgOptions } from './options.ts';
import { ownEntries } from './originals.ts';

type Places = Pick<PgOptions, 'dataDir' | 'confDir' | 'logFile' | 'originalConfig' | 'parameters'>;
/** Sizes of the logs before a start: what comes later is of it. */
export type LogMarks = ReadonlyMap<string, number>;
/** `news`: it tells of no trouble. */
type Entry = { news: boolean; text: string };

/** Every complaint begins with it. */
export const ENDED = 'the server ended while starting';
/** Bytes and lines that are looked at and told, at most. */
const [TAIL, LINES] = [65_536, 4];

function collected(o: Places): string[] {
  const lines = (readIfPossible(join(o.dataDir, 'current_logfiles')) ?? '').split('\n');
  const files = lines.flatMap((line) => /^\w+ (.+)$/.exec(line)?.[1] ?? []);
  return files.map((file) => (isAbsolute(file) ? file : join(o.dataDir, file)));
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

export async function markLogs(o: Places): Promise<LogMarks> {
  const files = [...(o.logFile === undefined ? [] : [o.logFile]), ...collected(o)];
  return new Map(await Promise.all(files.map(async (file) => [file, await sizeOf(file)] as const)));
}

async function since(path: string, mark: number): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      // A shorter one was begun anew.
      const from = Math.max(mark > size ? 0 : mark, size - TAIL);
      const bytes = Buffer.alloc(Math.max(0, size - from));
      await file.read(bytes, 0, bytes.length, from);
      return bytes.toString('utf8');
    } finally {
      await file.close();
    }
  } catch {
    return '';
  }
}

async function said(o: Places, marks: LogMarks): Promise<{ file: string; text: string }[]> {
  const read = async (file: string) => ({ file, text: await since(file, marks.get(file) ?? 0) });
  const own = (await Promise.all(collected(o).map(read))).filter(({ text }) => text.trim() !== '');
  // Once its collector runs, nothing more comes on standard error.
  return own.length > 0 ? own : o.logFile === undefined ? [] : [await read(o.logFile)];
}

export async function complaint(o: Places, marks: LogMarks): Promise<string> {
  const all = await said(o, marks);
  for (const { file, text } of all) {
    const cause = causeOf(entriesOf(file, text));
    if (cause.length > 0) return `${ENDED}: ${cause.join('; ')}`;
  }
  const bare = all
    .flatMap(({ text }) => text.split('\n'))
    .filter((line) => /^\S/.test(line) && !LINE.test(line));
  // What is found wrong before it logs at all.
  if (bare.length > 0) return `${ENDED}: ${bare.slice(-2).join('; ')}`;
  const to =
    o.parameters?.log_destination ?? ownEntries(o).findLast((e) => e.name === 'log_destination')?.value;
  return /syslog/.test(to ?? '') ? `${ENDED}: its messages are in the system's log (log_destination)` : ENDED;
}

/**
 * The last that tell of trouble, and the one before them: a wrong setting is named by plain news, and only
 * counted then.
 */
function causeOf(entries: readonly Entry[]): string[] {
  const last = entries.findLastIndex(({ news }) => !news);
  if (last < 0) return [];
  const before = entries.findLastIndex(({ news }, index) => news && index < last);
  return entries.slice(Math.max(0, before, last - LINES), last + 1).map(({ text }) => text);
}

/** Prefix, severity in any language, message. */
const LINE = /(?:^|\s)(\S+): {2}(\S.*)$/;
/** The server's first words, in every language. */
const BANNER = /\bPostgreSQL \d+/;

export function entriesOf(file: string, text: string): Entry[] {
  if (file.endsWith('.csv')) return fromCsv(text);
  if (file.endsWith('.json')) return text.split('\n').flatMap(fromJson);
  const lines = text.split('\n').flatMap((line) => {
    const [, severity, said] = LINE.exec(line) ?? [];
    return severity === undefined || said === undefined ? [] : [{ severity, text: said }];
  });
  const news = new Set(['LOG', lines.find((line) => BANNER.test(line.text))?.severity]);
  return lines.map(({ severity, text: said }) => ({ news: news.has(severity), text: said }));
}

const joined = (parts: readonly unknown[]): string =>
  parts.filter((part): part is string => typeof part === 'string' && part !== '').join('; ');

function fromJson(line: string): Entry[] {
  try {
    const { state_code: state, message, detail, hint, context } = JSON.parse(line) as Record<string, unknown>;
    return [
      { news: state === undefined || state === '00000', text: joined([message, detail, hint, context]) },
    ];
  } catch {
    return []; // cut at its beginning
  }
}

/** Columns of csvlog: 13 is the SQLSTATE, then message, detail and hint; 18 is the context. */
function fromCsv(text: string): Entry[] {
  const fields: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/g)) {
    fields.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end !== ',') fields.push([]);
  }
  return fields
    .filter((row) => row.length > 15 && /^[0-9A-Z]{5}$/.test(row[12] ?? ''))
    .map((row) => ({ news: row[12] === '00000', text: joined([...row.slice(13, 16), row[18]]) }));
}
