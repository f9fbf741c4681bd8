/**
 * The one long task (CONTRACTS 6): a copy of the database may take hours, so it runs beside main, which goes on looking,
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

/** A service may take a minute to start; the database may need main meanwhile. */
export function* startServices(n: NodeContext, start: Procedure<Result>): Procedure<void> {
  n.startingServices = true;
  try {
    const done = yield* start;
    if (done.ok) n.servicesUpAt = n.now();
    else n.log({ component: 'handler-runner', level: 'warn', message: `services: ${done.why}` });
  } finally {
    n.startingServices = false;
    n.wake();
  }
}
