/**
 * The long tasks: basebackup, rewind, saving a divergence. They live here so that a restart of the agent does
 * not end them. Who asks for the same again joins the one that runs; one that nobody has asked for during
 * `patience` is cancelled.
 */

import type { Outcome } from '../../core/postgres.ts';
import { messageOf } from '../../errors.ts';
import { createStops } from '../../platform/stops.ts';
import type { Progress } from '../postgres/port.ts';

export type Work = (progress: Progress, signal: AbortSignal) => Promise<Outcome>;

export type Watcher = { progress: Progress };

/**
 * `data`: it writes the data directory, so nothing else may be done to that meanwhile; it can be cancelled.
 */
export type Kind = 'data' | 'reading';

type Task = {
  key: string;
  kind: Kind;
  abort: AbortController;
  watchers: Set<Watcher>;
  result: Promise<Outcome>;
  over: boolean;
  alone: ReturnType<typeof setTimeout> | null;
};

export interface Tasks {
  /**
   * The outcome of the task named `key`, which is started unless it runs. One of another name is cancelled
   * first.
   */
  join(key: string, kind: Kind, work: Work, watcher: Watcher): Promise<Outcome>;
  /** This watcher wants the task ended. */
  cancel(watcher: Watcher): void;
  /** This watcher is gone; the task goes on for a while. */
  leave(watcher: Watcher): void;
  /**
   * Cancels what writes the data directory and waits for its end; drops a result that nobody took. False when
   * `outdate` was called meanwhile, of whatever connection.
   */
  clear(): Promise<boolean>;
  /** A start that still waits for `clear` is out of date: a stop was asked for. */
  outdate(): void;
  readonly running: boolean;
}

export function createTasks(patience = 60_000): Tasks {
  let current: Task | null = null;
  const stops = createStops();

  const end = async (): Promise<void> => {
    const task = current;
    if (task === null) return;
    task.abort.abort();
    if (task.kind === 'data') await task.result;
    forget(task);
  };
  const forget = (task: Task): void => {
    if (task.alone !== null) clearTimeout(task.alone);
    if (current === task) current = null;
  };
  /** While it runs: cancel it then. Ended: its result is not asked for any more. */
  const leaveAlone = (task: Task): void => {
    task.alone = setTimeout(() => {
      task.abort.abort();
      if (task.over) forget(task);
    }, patience);
  };
  const start = (key: string, kind: Kind, work: Work): Task => {
    const abort = new AbortController();
    const watchers = new Set<Watcher>();
    const task: Task = {
      key,
      kind,
      abort,
      watchers,
      over: false,
      alone: null,
      result: work((step) => {
        for (const watcher of watchers) watcher.progress(step);
      }, abort.signal).catch((thrown) => ({
        kind: 'failed',
        why: messageOf(thrown),
      })),
    };
    void task.result.then(() => {
      task.over = true;
      // Somebody hears it, or nobody wants it any more: done with.
      if (watchers.size > 0 || abort.signal.aborted) forget(task);
    });
    return task;
  };

  return {
    async join(key, kind, work, watcher) {
      // One that is being cancelled is never joined: it ends, and the work is begun anew.
      while (current !== null && (current.key !== key || current.abort.signal.aborted)) await end();
      const task = current ?? start(key, kind, work);
      current = task;
      task.watchers.add(watcher);
      if (task.alone !== null) clearTimeout(task.alone);
      task.alone = null;
      const result = await task.result;
      if (task.watchers.has(watcher)) forget(task);
      return result;
    },
    cancel(watcher) {
      if (current?.watchers.has(watcher)) current.abort.abort();
    },
    leave(watcher) {
      const task = current;
      if (task === null || !task.watchers.delete(watcher)) return;
      if (task.watchers.size === 0) leaveAlone(task);
    },
    async clear() {
      const stale = stops.asked();
      await end();
      return !stale();
    },
    outdate: stops.outdate,
    get running() {
      return current !== null && !current.over;
    },
  };
}
