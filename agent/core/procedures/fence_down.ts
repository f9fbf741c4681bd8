/**
 * Fence down: clients out, the writable server stopped, active-only services stopped, files receive-only; the
 * database comes back as a standby only. Attempts every step, whatever failed before it.
 */
import { voidCandidacy } from '../memory/candidacy.ts';
import { beginFencing, endFencing, shut, shutIf } from '../memory/fence.ts';
import { demoted } from '../memory/hooks.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import { followFiles } from './files.ts';

const FILES = 1000;

export function* fenceDown(n: NodeContext, why: string): Procedure<void> {
  n.log({ component: 'handler-runner', level: 'warn', message: `fencing down: ${why}` });
  beginFencing(n.fence);
  voidCandidacy(n.candidacy);
  try {
    const closed = yield* call('fence', 'close', n.policy.fencingTime);
    shutIf(n.fence, closed.kind === 'done');
    // The server goes before the services: theirs may take long, and clients on this machine reach the server
    // without them.
    const stopped = yield* call('pg', 'stop', 'immediate', n.policy.stopTimeout, true);
    if (stopped.kind === 'stopped') shut(n.fence);
    else
      n.log({
        component: 'handler-runner',
        level: 'error',
        message: `PostgreSQL did not stop: ${stopped.why}`,
      });
    yield* call('services', 'down', n.policy.servicesStop);
  } finally {
    endFencing(n.fence);
  }
  demoted(n.hooks, { to: '', reason: why });
  // Last, and after all that others wait for: a Syncthing that hangs holds nothing up.
  yield* followFiles(n, null, FILES);
}
