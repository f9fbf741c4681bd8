/**
 * `cluster nodes remove`, on the active, in the order of PROTOCOL F.5: out of the voters, the key and a
 * tombstone, then Raft, keys and the slot. Every step finds what an interrupted one left, so the command can
 * be run again. Of a reservation the key is ended first and goes last: the sweep goes on with one that was
 * interrupted.
 */

import type { JoiningRecord } from '../core/records.ts';
import { AgentError, noSuchNode } from '../errors.ts';
import type { Member } from '../node/member.ts';
import type { Parts } from '../node/parts.ts';
import type { Time } from '../platform/clock.ts';
import { refuse } from './admit.ts';
import type { LeaseWrites } from './lease_writes.ts';
import { newManagementToken, revokeToken, shutOut } from './member_security.ts';
import { endedNow, hasEnded } from './reservation.ts';
import { runScript, type ScriptStep } from './script.ts';
import type { Steps } from './tracker.ts';

export type RemoveParts = {
  readonly member: Pick<Member, 'node' | 'signed' | 'memberKv'>;
  readonly parts: Parts;
  readonly writes: LeaseWrites;
  readonly time: Time;
};

type Removing = RemoveParts & { readonly name: string };

const VOTERS = 30_000;

const again = (code: string, message: string) =>
  new AgentError({ class: 'transient', code, message, hint: 'run the command again' });

export const REMOVE: readonly ScriptStep<Removing>[] = [
  {
    name: 'out of the voters',
    again: 'leaving is left as it is; a node that is not a voter is no longer waited for',
    run: outOfVoters,
  },
  {
    name: 'out of the cluster',
    again: 'whose key is gone already has its tombstone, and is not written again; a reservation has ended',
    run: outOfCluster,
  },
  {
    name: 'out of Consul',
    again: 'who is in Raft no more is not taken out',
    async run({ parts, name }) {
      await outOfConsul(parts, (server) => server.node === name);
      // With a gossip key it waits until the server is not heard: a live one would be struck off the list,
      // and hear the new key.
      if (parts.security.current() === undefined)
        await parts.consul.admin().catalog.forceLeave(name, { prune: true });
      await parts.consul.admin().kv.delete(`${parts.config.consul.prefix}/state/${name}`);
    },
  },
  {
    name: 'keys',
    again: 'another key and token once more: the last ones count',
    run: newKeys,
  },
  {
    name: 'slot',
    again:
      'a slot that is gone is not dropped; a reservation that is still there is swept by whoever is active',
    async run(removing) {
      await dropSlot(removing);
      // Housekeeping gives a slot to each reservation: one may have come back before the key was gone.
      if (await forgetReservation(removing)) await dropSlot(removing);
    },
  },
];

export const removeNode = (o: RemoveParts, name: string, steps: Steps): Promise<void> =>
  runScript<Removing>(REMOVE, { ...o, name }, steps);

async function outOfVoters({ member: { node, signed }, writes, name, time }: Removing): Promise<void> {
  const record = node.view?.nodes[name];
  if (record !== undefined) {
    const value = signed.sign('nodes', name, { ...record, leaving: true });
    await writes.inTurn(() =>
      writes.write(
        [{ verb: 'set', key: `nodes/${name}`, value }],
        (view) => view.nodes[name] === undefined || view.nodes[name]?.leaving === true,
      ),
    );
  }
  const until = time.now() + VOTERS;
  while (node.view?.sync?.value.voters.some((v) => v.node === name)) {
    if (time.now() > until) throw again('still_going', `${name} is still among the voters`);
    await time.sleep(100);
  }
}

async function outOfCluster(removing: Removing): Promise<void> {
  const { member, parts, writes, name } = removing;
  const { node, signed } = member;
  const record = node.view?.nodes[name];
  if (record === undefined) {
    const held = node.view?.joining?.[name];
    if (held === undefined) return;
    // Ended for whoever is active, but there until all else is done: nothing but its key names what it was
    // given.
    if (held.lifeMs !== 0) await endReservation(removing, held);
    return await revokeToken(parts, name);
  }
  const tombstone = { schema: 1, at: new Date().toISOString(), hostIp: record.hostIp };
  await writes.inTurn(() =>
    writes.write(
      [
        { verb: 'delete', key: `nodes/${name}` },
        { verb: 'delete', key: `joining/${name}` },
        { verb: 'set', key: `removed/${name}`, value: signed.sign('removed', name, tombstone) },
      ],
      (view) => view.nodes[name] === undefined && view.joining?.[name] === undefined,
    ),
  );
}

async function endReservation(
  { member: { signed }, writes, name }: Removing,
  held: JoiningRecord,
): Promise<void> {
  const value = signed.sign('joining', name, endedNow(held, Date.now()));
  await writes.inTurn(() =>
    writes.write(
      [{ verb: 'set', key: `joining/${name}`, value }],
      (view) => view.joining?.[name]?.lifeMs === 0,
    ),
  );
}

/** Those of members and of managers that are joining stay. */
async function dropSlot({ member: { node }, parts: { pg }, name }: Removing): Promise<void> {
  const { nodes = {}, joining = {} } = node.view ?? {};
  const others = Object.keys({ ...nodes, ...joining }).filter(
    (other) => other !== node.name && other !== name,
  );
  await pg.ensureSlots(others, 5000, true);
}

/** The last of a reservation; not of one that was made anew. */
async function forgetReservation({ member: { node }, writes, name }: Removing): Promise<boolean> {
  return await writes.inTurn(async () => {
    const held = node.view?.joining?.[name];
    if (held === undefined || !hasEnded(held, Date.now())) return false;
    await writes.write(
      [{ verb: 'delete', key: `joining/${name}` }],
      (view) => view.joining?.[name] === undefined,
    );
    return true;
  });
}

async function newKeys(
  { member, parts, name }: Removing,
  report: (of: { detail: string }) => void,
): Promise<void> {
  if (parts.security.current() === undefined) return;
  await shutOut(parts, member.memberKv, name);
  // A server that lived on may have been taken in again meanwhile.
  await outOfConsul(parts, (server) => server.node === name);
  await parts.consul.admin().catalog.forceLeave(name, { prune: true });
  if (!(await newManagementToken(parts, member.memberKv, member.node.view)))
    report({ detail: 'the management token stays as it is until every member is upgraded' });
}

/**
 * Takes servers out of Raft. PROTOCOL F.6: an empty server never starts under an address that Raft still
 * lists, since its blank vote could elect one that lacks a committed lease; so a manager that joins (again)
 * is taken out before.
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

/**
 * Throws operator `not_found`, `node_is_active` or `no_majority` when `name` may not be removed, transient
 * `consul_unknown`.
 */
export async function refuseRemoval({ node, consul }: Member, name: string): Promise<void> {
  const nodes = node.view?.nodes ?? {};
  const known = nodes[name] ?? node.view?.joining?.[name];
  if (known === undefined && !node.view?.removed.includes(name)) throw noSuchNode(name, Object.keys(nodes));
  if (name === node.name)
    throw refuse(
      'node_is_active',
      `${name} is the active`,
      "hand over first: 'agent cluster set-active NAME'",
    );
  const members = await consul.catalog.members();
  if (members.kind !== 'ok')
    throw new AgentError({
      class: 'transient',
      code: 'consul_unknown',
      message: 'Consul does not answer',
      hint: 'try again',
    });
  const left = Object.keys(nodes).filter((other) => other !== name);
  const alive = left.filter((other) => members.value.some((m) => m.name === other && m.status === 'alive'));
  if (alive.length * 2 <= left.length)
    throw refuse(
      'no_majority',
      `of the ${left.length} nodes that would be left only ${alive.length} are alive: that is not a majority`,
      'bring another node back first',
    );
}
