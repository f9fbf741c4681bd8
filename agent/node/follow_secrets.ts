/**
 * What each node does every ten seconds for the secrets that all members share. Nothing in a plain cluster.
 */
import type { ConsulKv } from '../consul/port.ts';
import type { NodeContext } from '../core/node.ts';
import { followGossip, gossipPartsOf } from './gossip.ts';
import { endOldManagement, followManagement, managementPartsOf } from './management.ts';
import type { Parts } from './parts.ts';

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
  if (node.fence.state === 'open')
    await endOldManagement(management, () => parts.consul.admin()).catch(() => {});
}

/** Once per run: this node's token may do what this version needs and no more. A failure is tried again. */
export function narrowOwnToken(parts: Parts): () => Promise<void> {
  let done = false;
  return async () => {
    if (done || !parts.security.current()?.secrets.managementToken) return;
    const { acl } = parts.consul.admin();
    const narrowed = await acl.setNodePolicy(parts.config.node_name, parts.config.consul.prefix);
    done = narrowed.kind === 'ok';
  };
}
