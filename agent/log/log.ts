import { type ConsolaInstance, createConsola } from 'consola/core';
import type { Config } from '../config/resolve.ts';
import { entryOf, type Level } from './entry.ts';
import { fileReporter } from './file.ts';
import { type Reporter, stderrReporter } from './reporter.ts';
import { type LogRing, logRing } from './ring.ts';

export { entryLine, entryTime, type Level, type LogEntry } from './entry.ts';
export { arrayReporter, type Reporter } from './reporter.ts';
export { type LogQuery, type LogRing, type LogRow, logRing } from './ring.ts';

/** The parts of the agent that speak; the first five are what clustering used to be services for. */
export const COMPONENTS = [
  'check-runner',
  'handler-runner',
  'consul-watcher',
  'consul-recovery-watcher',
  'iptables-restore',
  'agent',
  'decision',
  'lease',
  'postgres',
  'services',
  'filesync',
  'http',
  'hooks',
] as const;
export type Component = (typeof COMPONENTS)[number];

/** What a part of the agent logs with. One line per change of something, nothing repeated each tick. */
export interface Logger {
  error(message: unknown, ...details: unknown[]): void;
  warn(message: unknown, ...details: unknown[]): void;
  info(message: unknown, ...details: unknown[]): void;
  debug(message: unknown, ...details: unknown[]): void;
}

export interface Log {
  for(component: Component): Logger;
  /** The newest lines, for `agent logs` and the API. */
  readonly ring: LogRing;
  close(): Promise<void>;
}

const NUMERIC: Record<Level, number> = { error: 0, warn: 1, info: 3, debug: 4 };

export interface LogOptions {
  readonly level?: Level;
  readonly reporters: readonly Reporter[];
  readonly ringSize?: number;
}

export function createLog({ level = 'info', reporters, ringSize = 2000 }: LogOptions): Log {
  const ring = logRing(ringSize);
  const all: readonly Reporter[] = [ring, ...reporters];
  const root: ConsolaInstance = createConsola({
    level: NUMERIC[level],
    // Throttling hides repeats, and a repeat is news here.
    throttle: 0,
    throttleMin: Number.POSITIVE_INFINITY,
    reporters: [
      {
        log(object) {
          const entry = entryOf(object);
          for (const reporter of all) reporter.write(entry);
        },
      },
    ],
  });
  const loggers = new Map<Component, Logger>();
  return {
    ring,
    for(component) {
      const logger = loggers.get(component) ?? root.withTag(component);
      loggers.set(component, logger);
      return logger;
    },
    async close() {
      await Promise.all(reporters.map((reporter) => reporter.close?.()));
    },
  };
}

/** The log of a running agent: its file, standard error, and the ring. */
export function agentLog(config: Config): Log {
  const { level, ring, file_limit } = config.log;
  const reporters = [fileReporter(config.paths.log_file, file_limit), stderrReporter()];
  return createLog({ level, reporters, ringSize: ring });
}
