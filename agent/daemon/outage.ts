/** What can be said of the cluster when Consul does not answer, and of whom nothing is known. Pure. */

import type { Outage, Quorum } from '../api/status.ts';
import { seenTimes } from '../core/lease_times.ts';
import { isMine, remaining, stillFor } from '../core/lease_view.ts';
import type { NodeContext } from '../core/node.ts';

/** As Consul's gossip has it, from this node's own server. */
export type Seen = { name: string; address: string; status: string; server: boolean };

/** null: the own server does not say. */
export function quorumOf(members: readonly Seen[] | null, consulAnswers: boolean): Quorum | null {
  if (members === null) return null;
  // Who has left by its own will is remembered by Serf for a while, and no server any more.
  const servers = members.filter(({ server, status }) => server && status !== 'left');
  const alive = servers.filter(({ status }) => status === 'alive').length;
  const majority = Math.floor(servers.length / 2) + 1;
  return {
    servers: servers.length,
    alive,
    survives: Math.max(0, alive - majority),
    // Gossip is seconds late: what was answered just now was decided by a majority.
    lost: alive < majority && !consulAnswers,
    missing: servers
      .filter(({ status }) => status !== 'alive')
      .map(({ name }) => name)
      .sort(),
  };
}

export const consulAnswers = (n: NodeContext): boolean => n.now() - n.viewAt <= n.policy.renewDeadline;

/**
 * While Consul is silent: has this node, asked by the holder, agreed that it stays active, and does that
 * still hold?
 */
const hasAgreed = (n: NodeContext): boolean => {
  const { record, firstSeen } = n.lease;
  if (record === null || record.holder === n.name || firstSeen <= n.viewAt) return false;
  return stillFor(n.lease, n.now()) <= seenTimes(n, record).renewDeadline;
};

/** Who is active as far as this node can know; null: nobody is known to be. */
export function activeKnown(n: NodeContext): string | null {
  const named = n.view?.active?.value.node ?? null;
  const { record } = n.lease;
  if (named === null || record === null) return named;
  if (!consulAnswers(n)) {
    const own = isMine(n.lease, n.name, n.instance) && remaining(n.lease, n.now()) > 0;
    return (named === n.name ? own : hasAgreed(n)) ? named : null;
  }
  // Released, or not renewed for so long that its holder has shut itself out.
  const over = record.holder === '' || stillFor(n.lease, n.now()) > seenTimes(n, record).leaseDuration;
  return over ? null : named;
}

const seconds = (ms: number): string => `${(Math.max(0, ms) / 1000).toFixed(1)} s`;

/** `m2`, `m2 or m3`, `2 of m2, m3, m4, m5`. */
function whom(missing: readonly string[], needed: number): string {
  if (missing.length <= needed) return missing.join(' and ');
  return needed === 1 ? missing.join(' or ') : `${needed} of ${missing.join(', ')}`;
}

function whoServes(n: NodeContext, nobody: string): string {
  const active = activeKnown(n);
  if (active === null) return nobody;
  if (n.holding.failsafeSince !== null || active !== n.name)
    return `${active} stays active only while every member agrees (failsafe)`;
  return `${active} is active for ${seconds(remaining(n.lease, n.now()))} more`;
}

function noQuorum(n: NodeContext, { servers, alive, missing = [] }: Quorum): [string, string[]] {
  const needed = Math.floor(servers / 2) + 1 - alive;
  const back = whom(missing, needed);
  const message = `NO QUORUM: ${whoServes(n, 'no manager can be active')}; ${alive} of ${servers} alive; bring back ${back}, or the network to ${missing.length === 1 ? 'it' : 'them'}`;
  const many = servers - alive > 1;
  return [
    message,
    [
      `this is what ${n.name} sees: if it is cut off, ${many ? 'the others' : 'the other'} may have an active that it cannot see`,
      `if ${many ? 'they are' : 'it is'} lost for good, a new cluster is made of one manager's copy: 'agent teardown -f', then 'agent cluster start' (docs/troubleshooting.md)`,
    ],
  ];
}

/** null: Consul answers. */
export function outageOf(n: NodeContext, quorum: Quorum | null): Outage | null {
  if (consulAnswers(n)) return null;
  const heard = n.view !== null;
  const silent = Math.round(n.now() - (heard ? n.viewAt : n.bornAt));
  const [message, notes] =
    quorum?.lost === true
      ? noQuorum(n, quorum)
      : [
          `CONSUL DOES NOT ANSWER ${n.name}: ${whoServes(n, 'who is active is not known')}`,
          [
            quorum === null
              ? "its own Consul server does not answer either: 'agent doctor', 'agent logs'"
              : `${quorum.alive} of ${quorum.servers} servers are seen alive: they may be electing a leader`,
          ],
        ];
  return {
    kind: quorum?.lost === true ? 'no_quorum' : 'consul_silent',
    message,
    notes: heard
      ? [...notes, `what is shown of other nodes is at least ${seconds(silent)} old`]
      : [...notes, 'nothing has been heard from other nodes since this agent was started'],
    since: heard ? new Date(n.wall().getTime() - silent).toISOString() : null,
    silent_for: silent,
  };
}
