/** The helper's end of one connection: calls come in, answers go out. */

import type { Fork, Upstream } from '../../core/postgres.ts';
import { messageOf } from '../../errors.ts';
import type { Postgres } from '../postgres/port.ts';
import { isMethod, type Method, manners, type ToAgent, type ToHelper, uptime } from './messages.ts';
import type { Tasks, Watcher } from './tasks.ts';

type Call = Extract<ToHelper, { t: 'call' }>;
type AnyMethod = (...args: unknown[]) => Promise<unknown>;

export type AgentSession = {
  call(message: Call): void;
  cancel(id: number): void;
  /** The agent is gone: its tasks go on for a while, its answers go nowhere. */
  end(): void;
};

/** Nothing may write the data directory meanwhile, a copy that a former agent asked for least of all. */
const exclusive: ReadonlySet<Method> = new Set(['adopt', 'startStandby', 'startPrimary', 'wipe']);

/** What makes the starts before it out of date. */
const ending: ReadonlySet<Method> = new Set(['stop', 'wipe']);

export function createSession(pg: Postgres, tasks: Tasks, send: (message: ToAgent) => void): AgentSession {
  const watchers = new Map<number, Watcher>();

  const task = async ({ id, method, args }: Call): Promise<unknown> => {
    const watcher: Watcher = { progress: (step) => send({ t: 'progress', id, step }) };
    watchers.set(id, watcher);
    const key = JSON.stringify([method, args], (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    try {
      return await tasks.join(
        key,
        method === 'saveDivergence' ? 'reading' : 'data',
        (progress, signal) => {
          if (method === 'saveDivergence')
            return pg.saveDivergence(args[0] as { epoch: number; fork: Fork | null; reason: string });
          const from = args[0] as Upstream;
          return method === 'rewind'
            ? pg.rewind(from, progress, signal)
            : pg.basebackup(from, progress, signal);
        },
        watcher,
      );
    } finally {
      watchers.delete(id);
    }
  };

  const answer = async (message: Call): Promise<unknown> => {
    const { method, until } = message;
    if (!isMethod(method)) throw new Error('no such call');
    const args = [...message.args];
    const manner = manners[method];
    if (manner.task) return await task(message);
    if (ending.has(method)) tasks.outdate();
    const left = () => {
      const rest = until === null ? Number.POSITIVE_INFINITY : until - uptime();
      if (rest <= 0 && !manner.late) throw new Error('the call came too late');
      return rest;
    };
    left();
    // Clearing takes as long as the task takes to end: what is left is what is left behind it.
    const current = !exclusive.has(method) || (await tasks.clear());
    if (!current && !ending.has(method)) throw new Error('a stop was requested meanwhile');
    const rest = left();
    if (manner.ms !== undefined && !manner.late) args[manner.ms] = Math.min(Number(args[manner.ms]), rest);
    return await (pg[method] as AnyMethod)(...args);
  };

  return {
    call(message) {
      answer(message).then(
        (value) => send({ t: 'answer', id: message.id, value }),
        (thrown) =>
          send({
            t: 'error',
            id: message.id,
            message: messageOf(thrown),
          }),
      );
    },
    cancel(id) {
      const watcher = watchers.get(id);
      if (watcher !== undefined) tasks.cancel(watcher);
    },
    end() {
      for (const watcher of watchers.values()) tasks.leave(watcher);
    },
  };
}
