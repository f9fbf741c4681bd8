/**
 * `cluster nodes remove`, on the active. In the order of PROTOCOL F: the key and a tombstone, out of the voters, then Raft,
 * then the slot. Every step finds what an interrupted one left, so the command can be run again.
 */

import type { TxnOp } from '../core/ports.ts';
import { AgentError } from '../errors.ts';
import type { Cluster } from '../node/member.ts';
import type { Parts } from '../node/parts.ts';
import { until } from '../platform/clock.ts';
import { newManagementToken, revokeToken, shutOut } from './member_security.ts';
import type { Steps } from './tracker.ts';

export type RemoveParts = {
  cluster: Cluster;
  parts: Parts;
  /** One transaction under the lease; throws when it was not confirmed. */
  write(ops: TxnOp[]): Promise<void>;
  /** Managers that are joining: their slots stay. */
  reserved(): string[];
};

const VOTERS = 30_000;

const again = (code: string, message: string) =>
  new AgentError({ class: 'transient', code, message, hint: 'run the command again' });

export async function removeNode(o: RemoveParts, name: string, { step }: Steps): Promise<void> {
  const { cluster, parts } = o;
  const { config, pg } = parts;
  const { node, signed } = cluster;
  await step('out of the voters', async () => {
    const record = node.view?.nodes[name];
    if (record !== undefined) {
      await o.write([
        {
          verb: 'set',
          key: `nodes/${name}`,
          value: signed.sign('nodes', name, { ...record, leaving: true }),
        },
      ]);
    }
    const votes = () => node.view?.sync?.value.voters.some((v) => v.node === name);
    if (!(await until(() => !votes(), { timeout: VOTERS, every: 100 })))
      throw again('still_going', `${name} is still among the voters`);
  });
  await step('out of the cluster', async () => {
    const record = node.view?.nodes[name];
    if (record === undefined) {
      // Only reserved: what it was given goes first, since once its key is gone nothing else names it.
      if (node.view?.joining?.[name] === undefined) return;
      await revokeToken(parts, name);
      await o.write([{ verb: 'delete', key: `joining/${name}` }]);
      return;
    }
    const tombstone = { schema: 1, at: new Date().toISOString(), hostIp: record.hostIp };
    await o.write([
      { verb: 'delete', key: `nodes/${name}` },
      { verb: 'delete', key: `joining/${name}` },
      { verb: 'set', key: `removed/${name}`, value: signed.sign('removed', name, tombstone) },
    ]);
  });
  await step('out of Consul', async () => {
    await outOfConsul(parts, (server) => server.node === name);
    // With a gossip key it waits until the server is not heard: a live one would be struck off the list, and hear the new key.
    if (parts.security.current() === undefined)
      await parts.consul.admin().catalog.forceLeave(name, { prune: true });
    await parts.consul.admin().kv.delete(`${config.consul.prefix}/state/${name}`);
  });
  await step('keys', async (report) => {
    if (parts.security.current() === undefined) return;
    await shutOut(parts, cluster.memberKv, name);
    // A server that lived on may have been taken in again meanwhile.
    await outOfConsul(parts, (server) => server.node === name);
    await parts.consul.admin().catalog.forceLeave(name, { prune: true });
    if (!(await newManagementToken(parts, cluster.memberKv, node.view)))
      report({ detail: 'the management token stays as it is until every member is upgraded' });
  });
  await step('slot', async () => {
    const others = Object.keys(node.view?.nodes ?? {}).filter(
      (other) => other !== node.name && other !== name,
    );
    await pg.ensureSlots([...others, ...o.reserved()], 5000, true);
  });
}

/**
 * Takes servers out of Raft. PROTOCOL F: an empty server never starts under an address that Raft still lists, since its
 * blank vote could elect one that lacks a committed lease; so a manager that joins (again) is taken out before.
 */
export async function outOfConsul(
  { consul }: Parts,
  which: (server: { node: string; address: string }) => boolean,
): Promise<void> {
  const { catalog } = consul.admin();
  const raft = await catalog.raftConfiguration();
  if (raft.kind !== 'ok') throw again('consul_unknown', 'Consul does not answer');
  for (const server of raft.value) {
    if (!which(server)) continue;
    const done = await catalog.removeRaftPeer(server.id);
    if (done.kind === 'unknown') throw again('consul_unknown', `${server.node} may still be a Raft peer`);
  }
}
