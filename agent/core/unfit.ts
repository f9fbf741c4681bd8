/** Why a node cannot take over, as any node can tell from the view alone. Pure; the active looks closer before it acts. */
import type { View } from './records.ts';
import { isUnreadable } from './unreadable.ts';

export function unfitnessSeen(view: View, node: string): string | null {
  const member = view.nodes[node];
  const state = view.states[node];
  if (member === undefined) return 'there is no such node';
  if (isUnreadable(view, `nodes/${node}`)) return 'its record in Consul cannot be read';
  if (isUnreadable(view, `state/${node}`)) return 'what it says of itself in Consul cannot be read';
  if (view.lease?.value.holder === node) return 'it is the active already';
  if (state === undefined) return 'it has not reported yet';
  if (member.options.maintenance) return 'it is in maintenance';
  if (state.wants !== 'nothing') return `its data needs a ${state.wants}`;
  if (state.failing.length > 0) return `its checks fail: ${state.failing.join(', ')}`;
  if (state.role !== 'standby') return `it is ${state.role}`;
  return null;
}
