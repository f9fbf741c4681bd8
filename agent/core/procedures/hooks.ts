/**
 * The operator's hooks that come after the fact (CONTRACTS 8): run in order, beside everything else, so
 * nothing waits for them.
 */
import { nextHook } from '../memory/hooks.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';

export function* hookRunner(n: NodeContext): Procedure<void> {
  for (;;) {
    const next = nextHook(n.hooks);
    if (next === undefined) {
      yield* call('time', 'sleep', n.policy.retryPeriod);
      continue;
    }
    const done = yield* call('hooks', 'run', next.phase, next.facts);
    if (done.kind !== 'done')
      n.log({ component: 'handler-runner', level: 'warn', message: `${next.phase}: ${done.why}` });
  }
}
