/**
 * The one long task (CONTRACTS 6): a copy of the database may take hours, so it runs beside main, which goes
 * on looking, publishes that it runs, and cancels it when its source is no longer the active.
 */
import type { Result } from '../actions.ts';
import { beginTask, endTask } from '../memory/copy.ts';
import { allStarted, beginStart, endStart } from '../memory/services.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import { rebuild } from './rejoin.ts';

export function* longTask(
  n: NodeContext,
  what: 'rewind' | 'reclone',
  newClone: () => string,
): Procedure<Result> {
  beginTask(n.copy, { what, from: n.lease.record?.holder ?? '', began: n.now() });
  try {
    const done = yield* rebuild(n, what, n.db.fork, newClone());
    if (!done.ok) {
      n.log({ component: 'handler-runner', level: 'warn', message: `${what}: ${done.why}` });
      // What failed at once would be begun again at once.
      yield* call('time', 'sleep', n.policy.retryPeriod);
    }
    return done;
  } finally {
    endTask(n.copy);
    n.wake();
  }
}

/** A service may take a minute to start; the database may need main meanwhile. */
export function* startServices(n: NodeContext, start: Procedure<Result>): Procedure<void> {
  beginStart(n.services);
  try {
    const done = yield* start;
    if (done.ok) allStarted(n.services, n.now());
    else n.log({ component: 'handler-runner', level: 'warn', message: `services: ${done.why}` });
  } finally {
    endStart(n.services);
    n.wake();
  }
}
