/** What each node does every ten seconds for the secrets that all members share. Nothing in a plain cluster. */
import type { ConsulKv } from '../consul/port.ts';
import type { NodeContext } from '../core/node.ts';
import type { Parts } from '../parts.ts';
import { followGossip, gossipPartsOf } from './gossip.ts';
import { endOldManagement, followManagement, managementPartsOf } from './management.ts';

/** Each by itself: one that fails holds up no other, and comes again. */
export async function followSecrets(
  parts: Parts,
  kv: ConsulKv,
  node: Pick<NodeContext, 'fence'>,
): Promise<void> {
  if (parts.security.current() === undefined) return;
  const management = managementPartsOf(parts, kv);
  // At once: a removed node, which is told nothing any more, has to get on with stopping its Consul.
  await Promise.allSettled([followGossip(gossipPartsOf(parts, kv)), followManagement(management)]);
  if (node.fence === 'open') await endOldManagement(management, () => parts.consul.admin()).catch(() => {});
}
