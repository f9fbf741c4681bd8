/**
 * A renewal passed on to what closes by itself (CONTRACTS 5: the kernel lease). Where that cannot be reached,
 * clients are shut out when its time is over, whatever this agent believes: then it is a holder that is not
 * open.
 */
import { closeByItself, stayOpen } from '../memory/fence.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';

export function* extend(n: NodeContext): Procedure<void> {
  const right = n.lease.right;
  if (right === null || n.fence.state === 'closed' || n.fence.running > 0) return;
  // A process that has just begun does not know yet; what its predecessor left open must not end until it
  // does.
  const known = n.fence.state === 'open';
  const done = yield* call('fence', 'extend', right.until, known);
  if (done.kind === 'done') {
    stayOpen(n.fence, right.until);
    return;
  }
  if (!known) return;
  if (n.now() < n.fence.openUntil || n.fence.state !== 'open' || n.fence.running > 0) return;
  n.log({
    component: 'handler-runner',
    level: 'error',
    message: `clients are shut out: the kernel lease cannot be renewed: ${done.why}`,
  });
  closeByItself(n.fence);
  n.wake();
}
