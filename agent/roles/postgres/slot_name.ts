/** Names of the members' physical slots. */
import { createHash } from 'node:crypto';

export const slotPrefix = 'agent_';

/**
 * The slot of a node: the same on every server, whatever clone the node is. Slot names are lower case
 * letters, digits and underscores, 63 at most; a node name with others gets a part of its hash, so that no
 * two collide.
 */
export function slotName(node: string): string {
  if (/^[a-z0-9_]{1,40}$/.test(node)) return slotPrefix + node;
  const plain = node
    .toLowerCase()
    .replace(/[^a-z0-9_]/g, '_')
    .slice(0, 40);
  return `${slotPrefix}${plain}_${createHash('sha256').update(node).digest('hex').slice(0, 8)}`;
}
