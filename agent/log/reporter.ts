import process from 'node:process';
import { styleText } from 'node:util';
import { entryLine, entryTime, type Level, type LogEntry } from './entry.ts';

/** Where lines go. Never throws and never waits: a hung disk must not hold up the lease. */
export interface Reporter {
  write(entry: LogEntry): void;
  /** Writes out what is pending. */
  close?(): Promise<void>;
}

const COLORS = { error: 'red', warn: 'yellow', info: 'cyan', debug: 'gray' } as const satisfies Record<
  Level,
  string
>;

/** For a terminal: short time, colour, no date. */
export function prettyLine(entry: LogEntry): string {
  const time = entryTime(entry).toISOString().slice(11, 23);
  const component = styleText(COLORS[entry.level], entry.component);
  const message = entry.level === 'error' ? styleText('red', entry.message) : entry.message;
  return `${styleText('gray', time)} ${component} ${message}`;
}

/** Standard error: pretty on a terminal, plain lines for the journal or a file. */
export function stderrReporter(stream: NodeJS.WriteStream = process.stderr): Reporter {
  const line = stream.isTTY ? prettyLine : entryLine;
  stream.on('error', () => {});
  return {
    write(entry) {
      stream.write(`${line(entry)}\n`);
    },
  };
}

/** For tests: the entries themselves. */
export function arrayReporter(): Reporter & { readonly entries: LogEntry[]; messages(): string[] } {
  const entries: LogEntry[] = [];
  return {
    entries,
    write: (entry) => entries.push(entry),
    messages: () => entries.map((entry) => `${entry.component}: ${entry.message}`),
  };
}
