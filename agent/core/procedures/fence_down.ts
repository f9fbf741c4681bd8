/**
 * Fence down: clients out, the writable server stopped, active-only services stopped, files receive-only; the
 * database comes back as a standby only. Attempts every step, whatever failed before it.
 */
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import { followFiles } from './files.ts';
import { demoted } from './hooks.ts';

const FILES = 1000;

export function* fenceDown(n: NodeContext, why: string): Procedure<void> {
  n.log({ component: 'handler-runner', level: 'warn', message: `fencing down: ${why}` });
  n.fencing += 1;
  n.mandate = null;
  n.ballot = null;
  try {
    const closed = yield* call('fence', 'close', n.policy.fencingTime);
    n.fence = closed.kind === 'done' ? 'closed' : 'unknown';
    // The server goes before the services: theirs may take long, and clients on this machine reach the server without them.
    const stopped = yield* call('pg', 'stop', 'immediate', n.policy.stopTimeout, true);
    if (stopped.kind === 'stopped') n.fence = 'closed';
    else
      n.log({
        component: 'handler-runner',
        level: 'error',
        message: `PostgreSQL did not stop: ${stopped.why}`,
      });
    yield* call('services', 'down', n.policy.servicesStop);
  } finally {
    n.fencing -= 1;
  }
  demoted(n, { to: '', reason: why });
  // Last, and after all that others wait for: a Syncthing that hangs holds nothing up.
  yield* followFiles(n, null, FILES);
}
