/**
 * On a node that was removed: its Consul server ends, or it would hear the new gossip key and come back as a
 * member. Not before Raft has let it go: until then its vote counts, and stopping it could cost the others
 * their majority.
 */
import { consulBind, hostPort } from '../config/index.ts';
import type { ConsulCatalog } from '../consul/port.ts';
import type { Parts } from './parts.ts';

/**
 * The token is revoked after Raft has let the node go; just after an election Consul denies good ones, too.
 * Milliseconds.
 */
const DENIED_FOR = 5000;

/** Resolves once the server is stopped; rejects while it must go on, to be called again. */
export function stopOnceOut(
  { config, consul }: Pick<Parts, 'config' | 'consul'>,
  catalog: Pick<ConsulCatalog, 'raftConfiguration'>,
  now: () => number,
): () => Promise<void> {
  const own = hostPort(consulBind(config), config.consul.server_port);
  let deniedSince: number | null = null;
  return async () => {
    const raft = await catalog.raftConfiguration({ deadlineMs: 2000 });
    if (raft.kind === 'unknown') {
      deniedSince = raft.cause.code === 'denied' ? (deniedSince ?? now()) : null;
      if (deniedSince === null || now() - deniedSince < DENIED_FOR)
        throw new Error('not known to be out of Raft');
    } else if (raft.value.some((server) => server.address === own)) {
      deniedSince = null;
      throw new Error('still a Raft peer');
    }
    await consul.stop();
  };
}
