/** What comes before a reservation becomes a node's record: with the enrolment goes the authority's key. */
import { hostPort } from '../config/index.ts';
import type { NodeRecord } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import type { Parts } from '../node/parts.ts';
import { letWrite } from './member_security.ts';

/**
 * Not for two calls by somebody who found a join token. Throws transient `not_voting` while
 * Consul does not count that manager's vote, which a joiner waits for before it asks, and `consul_unknown`.
 */
async function requireVote(
  { config, consul }: Pick<Parts, 'config' | 'consul'>,
  name: string,
  { hostIp }: Pick<NodeRecord, 'hostIp'>,
): Promise<void> {
  // Servers that somebody else runs are not one to a manager.
  if (config.consul.mode === 'external') return;
  const transient = (code: string, message: string) =>
    new AgentError({ class: 'transient', code, message, hint: 'try again' });
  const raft = await consul.admin().catalog.raftConfiguration({ deadlineMs: 2000 });
  if (raft.kind !== 'ok') throw transient('consul_unknown', 'Consul does not answer');
  const address = hostPort(hostIp, config.consul.server_port);
  if (raft.value.some((server) => server.voter && (server.node === name || server.address === address)))
    return;
  throw transient('not_voting', `Consul does not count the vote of ${name} yet`);
}

/**
 * Its vote counts, and then its token may write what members write. May be repeated. Throws transient
 * `not_voting`, `consul_unknown`.
 */
export async function readyToEnter(parts: Parts, name: string, record: NodeRecord): Promise<void> {
  await requireVote(parts, name, record);
  await letWrite(parts, name);
}
