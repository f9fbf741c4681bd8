import type { LogEntry } from './entry.ts';
import type { Reporter } from './reporter.ts';

/** What the API's `logs` shows. */
export interface LogRow {
  /** Microseconds. */
  readonly timestamp: number;
  readonly level: string;
  readonly component: string;
  readonly message: string;
  /** Give it back as `since` to get what came after. */
  readonly cursor: string;
}

export interface LogQuery {
  /** A cursor; what is older, or has been dropped meanwhile, is left out. */
  readonly since?: string;
  readonly component?: string;
  /** The newest this many. */
  readonly limit?: number;
}

/** The newest lines, in memory. */
export interface LogRing extends Reporter {
  read(query?: LogQuery): LogRow[];
  /** Called with each new row; returns how to unsubscribe. */
  follow(listener: (row: LogRow) => void): () => void;
}

const rowOf = (entry: LogEntry): LogRow => ({ ...entry, cursor: String(entry.timestamp) });

export function logRing(size: number): LogRing {
  const slots: LogEntry[] = [];
  let next = 0;
  const listeners = new Set<(row: LogRow) => void>();

  const inOrder = () => [...slots.slice(next), ...slots.slice(0, next)];

  return {
    write(entry) {
      if (slots.length < size) slots.push(entry);
      else {
        slots[next] = entry;
        next = (next + 1) % size;
      }
      for (const listener of [...listeners]) listener(rowOf(entry));
    },
    read({ since, component, limit } = {}) {
      const after = since === undefined ? Number.NEGATIVE_INFINITY : Number(since);
      const found = inOrder().filter(
        (entry) => !(entry.timestamp <= after) && (component === undefined || entry.component === component),
      );
      const wanted = limit === undefined ? found : found.slice(Math.max(0, found.length - limit));
      return wanted.map(rowOf);
    },
    follow(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
