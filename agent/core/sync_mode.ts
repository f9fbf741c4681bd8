/**
 * How commits are confirmed: the cluster's setting, in its `config` key, whatever this node's own file says.
 */
import type { Owning } from './node.ts';
import type { View } from './records.ts';
import { isUnreadable } from './unreadable.ts';

/**
 * Takes the cluster's mode over. Where it cannot be read and never was, it may be any: the strictest loosens
 * nothing that another promised, and an own file that says less would acknowledge, or elect, by less than the
 * cluster asks for.
 */
export function takeMode(n: Owning<'policy' | 'modeKnown'>, view: View): void {
  const known = view.config?.value.synchronousMode;
  const hidden = known === undefined && isUnreadable(view, 'config');
  if (!hidden) n.modeKnown = true;
  const mode = known ?? (n.modeKnown ? n.policy.synchronousMode : 'strict');
  if (mode === n.policy.synchronousMode) return;
  n.policy = { ...n.policy, synchronousMode: mode };
  if (hidden)
    n.log({
      component: 'lease',
      level: 'warn',
      message: "the cluster's synchronous_mode (config in Consul) cannot be read: strict until it can",
    });
}
