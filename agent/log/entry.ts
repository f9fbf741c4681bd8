import type { LogObject } from 'consola/core';
import { redact } from '../config/redact.ts';
import { explain } from '../errors.ts';

export const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof LEVELS)[number];

/** One line of the log, as every reporter gets it. */
export interface LogEntry {
  /** Wall-clock microseconds since 1970; unique and rising within a process, so it is the cursor too. */
  readonly timestamp: number;
  readonly level: Level;
  /** The part of the agent that speaks: `check-runner`, `consul-watcher`, ... */
  readonly component: string;
  readonly message: string;
}

const LEVEL_OF_TYPE: Readonly<Record<string, Level>> = {
  fatal: 'error',
  fail: 'error',
  error: 'error',
  warn: 'warn',
  debug: 'debug',
  trace: 'debug',
  verbose: 'debug',
};

function text(arg: unknown): string {
  if (typeof arg === 'string') return redact(arg);
  if (arg instanceof Error) return redact(explain(arg));
  try {
    return JSON.stringify(redact(arg)) ?? String(arg);
  } catch {
    return String(arg);
  }
}

let last = 0;

/** consola's object as an entry: arguments joined, secrets out, one line. */
export function entryOf(log: LogObject): LogEntry {
  last = Math.max(last + 1, log.date.getTime() * 1000);
  const message = log.args
    .map(text)
    .join(' ')
    .replaceAll(/\s*[\r\n]+\s*/g, ' | ');
  return {
    timestamp: last,
    level: LEVEL_OF_TYPE[log.type] ?? 'info',
    component: log.tag || 'agent',
    message,
  };
}

export const entryTime = (entry: LogEntry): Date => new Date(Math.floor(entry.timestamp / 1000));

/** `2026-01-01T00:00:00.000Z INFO  [lease] message`. */
export function entryLine(entry: LogEntry): string {
  const level = entry.level.toUpperCase().padEnd(5);
  return `${entryTime(entry).toISOString()} ${level} [${entry.component}] ${entry.message}`;
}
