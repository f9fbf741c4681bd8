/**
 * Consul's own health, as this node's server sees it: a leader, this server a voter, Serf content with it.
 */
import type { Unknown } from '../consul/port.ts';
import type { ConsulCatalog } from '../consul/port_catalog.ts';
import { type Check, type CheckResult, fail, pass } from './port.ts';

type Needs = Pick<ConsulCatalog, 'raftConfiguration' | 'members'>;

const unknown = (what: string, { cause }: Unknown): Error => new Error(`${what}: ${cause.message}`);

/** `node` is the server's name in Consul. Throws when Consul does not answer. */
export function consul(catalog: Needs, node: string): Check {
  return {
    name: 'consul',
    async run({ ms, signal }): Promise<CheckResult> {
      // Asked of the own server and answered by the leader: it fails when there is none, or none it can
      // reach.
      const options = { target: 'local', deadlineMs: ms, attemptMs: ms, signal } as const;
      const [raft, members] = await Promise.all([
        catalog.raftConfiguration(options),
        catalog.members(options),
      ]);
      if (raft.kind === 'unknown') throw unknown('Consul names no Raft leader', raft);
      if (members.kind === 'unknown') throw unknown('Consul names no members', members);
      if (!raft.value.some((server) => server.leader)) return fail('Consul has no leader');
      const own = raft.value.find((server) => server.node === node);
      if (own === undefined) return fail(`${node} is not a Consul server of this cluster`);
      if (!own.voter) return fail(`the Consul server of ${node} has no vote yet`);
      const serf = members.value.find((member) => member.name === node)?.status ?? 'none';
      return serf === 'alive'
        ? pass("there is a leader, and this node's server votes")
        : fail(`Serf says that ${node} is '${serf}'`);
    },
  };
}
