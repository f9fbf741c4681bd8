/** What this node wrote, taken into the view that it has. Pure. */
import type { TxnOp } from './ports.ts';
import type { LeaseRecord, NodeRecord, SyncRecord, View } from './records.ts';

/** The view after a transaction of our own that Consul confirmed: nothing has to be read to know it. */
export function withOwn(view: View, lease: LeaseRecord, ops: TxnOp[], index: number): View {
  if (index <= view.index) return view;
  const next: View = { ...view, index, lease: { value: lease, index } };
  for (const op of ops) {
    if (op.verb === 'cas' && op.key === 'sync') next.sync = { value: op.value as SyncRecord, index };
    if (op.verb === 'delete' && op.key === 'request') next.request = null;
    // Whoever asks every member from now on has to ask this one too.
    if (op.verb === 'cas' && op.key.startsWith('nodes/'))
      next.nodes = { ...next.nodes, [op.key.slice('nodes/'.length)]: op.value as NodeRecord };
  }
  return next;
}
