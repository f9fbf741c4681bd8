/**
 * The one long task (DESIGN 6): a copy of the database may take hours, so it runs beside main, which goes on looking,
 * publishes that it runs, and cancels it when its source is no longer the active.
 */
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import type { Result } from './promote.ts';
import { rebuild } from './rejoin.ts';

export function* longTask(
  n: NodeContext,
  what: 'rewind' | 'reclone',
  newClone: () => string,
): Procedure<Result> {
  const task = { what, from: n.lease.record?.holder ?? '', began: n.now() };
  n.task = task;
  try {
    const done = yield* rebuild(n, what, n.fork, newClone());
    if (!done.ok) {
      n.log({ component: 'handler-runner', level: 'warn', message: `${what}: ${done.why}` });
      // What failed at once would be begun again at once.
      yield* call('time', 'sleep', n.policy.retryPeriod);
    }
    return done;
  } finally {
    n.task = null;
    n.wake();
  }
}
