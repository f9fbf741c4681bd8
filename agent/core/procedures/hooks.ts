/** The operator's hooks that come after the fact (CONTRACTS 8): run in order, beside everything else, so nothing waits for them. */
import type { HookPhase, NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';

/** Services have so long to be up before the hook that says "promoted" runs without them. */
const SERVICES_UP = 30_000;

export function hookLater(n: NodeContext, phase: HookPhase, facts: Record<string, string>): void {
  n.hooksDue.push({ phase, facts });
}

/** This node was the active until now: said once, however it ended. */
export function demoted(n: NodeContext, facts: Record<string, string>): void {
  n.promoted = null;
  if (!n.serving) return;
  n.serving = false;
  hookLater(n, 'post-demote', facts);
}

/** Promoted and open: `post-promote` once its services run, so that it can use them. */
export function whenServicesRun(n: NodeContext, missing: number): void {
  if (n.promoted === null || (missing > 0 && n.now() - n.openedAt < SERVICES_UP)) return;
  hookLater(n, 'post-promote', n.promoted);
  n.promoted = null;
}

export function* hookRunner(n: NodeContext): Procedure<void> {
  for (;;) {
    const next = n.hooksDue.shift();
    if (next === undefined) {
      yield* call('time', 'sleep', n.policy.retryPeriod);
      continue;
    }
    const done = yield* call('hooks', 'run', next.phase, next.facts);
    if (done.kind !== 'done')
      n.log({ component: 'handler-runner', level: 'warn', message: `${next.phase}: ${done.why}` });
  }
}
