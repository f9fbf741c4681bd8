/** The active's side of membership: admitting, enrolling, changing and removing nodes (PROTOCOL F). */
import { isDeepStrictEqual } from 'node:util';
import type {
  Admission,
  AdmitRequest,
  Enrolled,
  LeaseChange,
  LeaseReport,
  NodeChange,
} from '../api/types.ts';
import { hostPort } from '../config/index.ts';
import { AgentError, noSuchNode } from '../errors.ts';
import type { Member } from '../node/member.ts';
import type { Parts } from '../node/parts.ts';
import { systemTime, type Time } from '../platform/clock.ts';
import type { Membership } from '../state/identity.ts';
import { refuse, refuseRequest, reservationOf } from './admit.ts';
import { readyToEnter } from './enrolling.ts';
import { leaseReport, withLease } from './lease_times.ts';
import { leaseWrites } from './lease_writes.ts';
import { admitSecured, checkToken, isThatNode, memberSecrets, spendToken } from './member_security.ts';
import { NotActiveError } from './not_active.ts';
import { withData } from './preflight.ts';
import { outOfConsul, removeNode } from './remove.ts';
import { hasEnded, notAdmitted } from './reservation.ts';
import type { Steps } from './tracker.ts';

/** `time` is virtual in a test. */
export function createMembers(member: Member, parts: Parts, membership: Membership, time: Time = systemTime) {
  const { node, signed } = member;
  const { config } = parts;
  const writes = leaseWrites(member, time);
  const { write, inTurn } = writes;

  function isActive(): boolean {
    const { lease } = member.last()?.facts ?? { lease: null };
    return lease?.state === 'mine' && lease.right > 0 && node.fence.state === 'open';
  }

  function requireActive(): void {
    if (isActive()) return;
    const holder = node.view?.active?.value.node ?? '';
    const record = holder === node.name ? undefined : node.view?.nodes[holder];
    throw new NotActiveError(
      record === undefined ? null : { node: holder, host: record.hostIp, port: record.apiPort },
    );
  }

  const unknown = (name: string) => noSuchNode(name, Object.keys(node.view?.nodes ?? {}));

  /** While one is taken away it is not kept alive, entered or admitted anew: that would bring it back. */
  const removing = new Set<string>();

  function refuseRemoved(name: string): void {
    if (!removing.has(name)) return;
    throw new AgentError({
      class: 'transient',
      code: 'being_removed',
      message: `${name} is being removed`,
      hint: 'run the command again when that is done',
    });
  }

  async function remove(name: string, steps: Steps): Promise<void> {
    // Whoever is being entered is a node first, and removed as one.
    await inTurn(async () => removing.add(name));
    try {
      await removeNode({ member, parts, writes, time }, name, steps);
    } finally {
      removing.delete(name);
    }
  }

  return {
    /** Validates and reserves; repeated by the same joiner it reserves anew. */
    async admit(request: AdmitRequest): Promise<Admission> {
      requireActive();
      // The token first: until then whoever asks is nobody.
      await checkToken(parts, member, request);
      refuseRequest(request, node.view, node.policy, Date.now());
      refuseRemoved(request.nodeName);
      const secured = await admitSecured(parts, member, request, node.view);
      const at = hostPort(request.hostIp, config.consul.server_port);
      await outOfConsul(parts, ({ address }) => address === at);
      const [reservation, name] = [reservationOf(request, secured.record, secured.lifeMs), request.nodeName];
      await inTurn(async () => {
        refuseRemoved(name);
        await write(
          [{ verb: 'set', key: `joining/${name}`, value: signed.sign('joining', name, reservation) }],
          (view) => view.joining?.[name]?.at === reservation.at,
        );
      });
      await member.letIn();
      const nodes = node.view?.nodes ?? {};
      return {
        clusterId: membership.clusterId,
        incarnation: node.view?.cluster?.value.incarnation ?? membership.incarnation,
        systemId: membership.systemId,
        secret: membership.secret,
        consulServers: Object.values(nodes).map((record) => record.hostIp),
        gossipKey: null,
        ...(await withData(parts.pg, secured.answer)),
        active: { node: node.name, hostIp: config.host_ip, postgresPort: config.postgres.port },
        members: nodes,
      };
    },

    /** The reservation becomes the node's record; the answer has what only members hold. Idempotent. */
    enrol: (name: string, caller?: { node: string; proof: string }): Promise<Enrolled> =>
      inTurn(async () => {
        requireActive();
        const held = node.view?.joining?.[name];
        const record = node.view?.nodes[name] ?? held?.node;
        if (record !== undefined && !isThatNode(parts, caller, name, record))
          throw refuse('forbidden', `the caller is not the ${name} that was admitted`);
        if (node.view?.nodes[name] !== undefined) return memberSecrets(parts);
        if (held === undefined || removing.has(name) || hasEnded(held, Date.now())) throw notAdmitted(name);
        await readyToEnter(parts, name, held.node);
        await write(
          [
            { verb: 'cas', key: `nodes/${name}`, value: signed.sign('nodes', name, held.node), index: 0 },
            { verb: 'delete', key: `removed/${name}` },
            { verb: 'delete', key: `joining/${name}` },
          ],
          (view) => view.nodes[name] !== undefined,
        );
        await spendToken(parts, member, name);
        return memberSecrets(parts);
      }),

    /** The joiner is still at work: its reservation lives on. Throws operator `not_admitted` when it has ended or was removed. */
    keep: (name: string, caller?: { node: string; proof: string }): Promise<void> =>
      inTurn(async () => {
        requireActive();
        const held = node.view?.joining?.[name];
        if (held === undefined && node.view?.nodes[name] !== undefined) return;
        if (held === undefined || removing.has(name) || hasEnded(held, Date.now())) throw notAdmitted(name);
        if (!isThatNode(parts, caller, name, held.node))
          throw refuse('forbidden', `the caller is not the ${name} that was admitted`);
        const kept = signed.sign('joining', name, { ...held, at: new Date().toISOString() });
        await write([{ verb: 'set', key: `joining/${name}`, value: kept }], () => true);
      }),

    /**
     * On the active: reservations that have ended are removed, one after the other. Does nothing elsewhere. One that fails holds up no
     * other, and is tried again the next time; its error is thrown at the end.
     */
    async sweep(): Promise<void> {
      const failed: unknown[] = [];
      const ended = (name: string): boolean => {
        const held = node.view?.joining?.[name];
        return held !== undefined && node.view?.nodes[name] === undefined && hasEnded(held, Date.now());
      };
      for (const name of Object.keys(node.view?.joining ?? {})) {
        // An enrolment that is under way is waited for.
        if (!isActive() || !(await inTurn(async () => ended(name) && !removing.has(name)))) continue;
        await remove(name, { step: (_, body) => body(() => {}) }).catch((thrown) => failed.push(thrown));
      }
      if (failed.length > 0) throw failed[0];
    },

    /** Changes the options of nodes/NAME. */
    async update(name: string, change: NodeChange): Promise<void> {
      requireActive();
      const record = node.view?.nodes[name];
      if (record === undefined) throw unknown(name);
      const options = { ...record.options, ...change };
      await write([{ verb: 'set', key: `nodes/${name}`, value: { ...record, options } }], (view) =>
        isDeepStrictEqual(view.nodes[name]?.options, options),
      );
    },

    /** Changes the cluster's lease times, on condition that nobody else changed the key meanwhile. */
    async setLease(change: LeaseChange, by: string): Promise<LeaseReport> {
      requireActive();
      const value = withLease(change, node, by);
      const index = node.view?.config?.index ?? 0;
      await write(
        [{ verb: 'cas', key: 'config', value, index }],
        (view) => (view.config?.value.version ?? 0) >= value.version,
      );
      const report = leaseReport(node);
      if (node.view?.config?.value.version === value.version) return report;
      throw new AgentError({
        class: 'transient',
        code: 'consul_unknown',
        message: 'the lease times are written, but were not read back yet',
        hint: "see 'agent cluster lease show'",
      });
    },

    remove,

    /** Throws when `name` may not be removed. */
    async mayRemove(name: string): Promise<void> {
      requireActive();
      const nodes = node.view?.nodes ?? {};
      const known = nodes[name] ?? node.view?.joining?.[name];
      if (known === undefined && !node.view?.removed.includes(name)) throw unknown(name);
      if (name === node.name)
        throw refuse(
          'node_is_active',
          `${name} is the active`,
          "hand over first: 'agent cluster set-active NAME'",
        );
      const members = await member.consul.catalog.members();
      if (members.kind !== 'ok')
        throw new AgentError({
          class: 'transient',
          code: 'consul_unknown',
          message: 'Consul does not answer',
          hint: 'try again',
        });
      const left = Object.keys(nodes).filter((other) => other !== name);
      const alive = left.filter((other) =>
        members.value.some((m) => m.name === other && m.status === 'alive'),
      );
      if (alive.length * 2 <= left.length) {
        throw refuse(
          'no_majority',
          `of the ${left.length} nodes that would be left only ${alive.length} are alive: that is not a majority`,
          'bring another node back first',
        );
      }
    },
  };
}
export type Members = ReturnType<typeof createMembers>;
