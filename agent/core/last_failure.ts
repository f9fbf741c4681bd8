/** What was tried last and failed is part of the reason: whoever waits for it is told why, and not again and again that it is tried. */
import type { Decision } from './decide.ts';
import type { NodeContext } from './node.ts';

/** With the failure of its own last try, as long as no other rule was decided and nothing was carried out since. */
export function withLastFailure(n: NodeContext, decision: Decision): Decision {
  if (n.lastFailure !== null && n.lastFailure.rule !== decision.rule) n.lastFailure = null;
  const why = n.lastFailure?.why;
  return why === undefined ? decision : { ...decision, reason: `${decision.reason}; failed: ${why}` };
}

/** After a tick that carried out, or tried to carry out, something. */
export function noteFailure(n: NodeContext, decision: Decision, why: string | null): void {
  // Since when it fails without a break, whatever it says each time.
  const since = n.lastFailure?.since ?? n.now();
  n.lastFailure = why === null ? null : { rule: decision.rule, why, since };
}
