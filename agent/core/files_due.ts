/**
 * Whether it is time to tell the files what this node's role wants of them, and how long after a try in vain.
 * Pure.
 */
import { isMine } from './lease_view.ts';
import type { NodeContext } from './node.ts';

/** null: they do what is wanted, or it is not time to say so again. */
export type FilesDue = 'lead' | 'follow' | null;

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 30_000;

/** None before the first try: what ended is started again at once, what ends again and again is not. */
export function pauseAfter(tries: number): number {
  return tries === 0 ? 0 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1));
}

/**
 * Told once under each epoch led, and for each active followed: that they are send-only already says nothing
 * of what somebody else led in between. Told again when they are seen to do something else.
 */
export function filesDue(n: NodeContext): FilesDue {
  const { facts: files, told } = n.files;
  if (files.state === 'off' || n.now() - told.at < pauseAfter(told.tries)) return null;
  const leads = isMine(n.lease, n.name, n.instance) && (n.holding.renewing || n.lease.right !== null);
  if (leads) return told.what === leading(n) && files.mode === 'sendonly' ? null : 'lead';
  const record = n.lease.record;
  if (record === null || record.holder === '') return null;
  return told.what === following(record.holder) && files.mode === 'receiveonly' ? null : 'follow';
}

export const leading = (n: NodeContext): string => `lead under epoch ${n.lease.right?.epoch ?? 0}`;
export const following = (node: string | null): string => `follow ${node ?? ''}`;
