/** The active's side of membership: admitting, enrolling, changing and removing nodes (PROTOCOL F). */
import { isDeepStrictEqual } from 'node:util';
import type { LeaseChange, LeaseReport } from '../api/lease.ts';
import type { Admission, AdmitRequest, Enrolled, NodeChange } from '../api/types.ts';
import { hostPort } from '../config/index.ts';
import { AgentError, noSuchNode } from '../errors.ts';
import type { Member } from '../node/member.ts';
import type { Parts } from '../node/parts.ts';
import { systemTime, type Time } from '../platform/clock.ts';
import type { Membership } from '../state/identity.ts';
import { NotActiveError, refuse, refuseRequest, reservationOf } from './admit.ts';
import { readyToEnter } from './enrolling.ts';
import { leaseReport, withLease } from './lease_times.ts';
import { type LeaseWrites, leaseWrites } from './lease_writes.ts';
import { admitSecured, checkToken, isThatNode, memberSecrets, spendToken } from './member_security.ts';
import { withData } from './preflight.ts';
import { outOfConsul, refuseRemoval, removeNode } from './remove.ts';
import { hasEnded, notAdmitted } from './reservation.ts';
import type { Steps } from './tracker.ts';

/** `time` is virtual in a test. */
export const createMembers = (
  member: Member,
  parts: Parts,
  membership: Membership,
  time: Time = systemTime,
): ActiveSide => new ActiveSide(member, parts, membership, time);

class ActiveSide {
  readonly #member: Member;
  readonly #parts: Parts;
  readonly #membership: Membership;
  readonly #time: Time;
  readonly #writes: LeaseWrites;
  /** While one is taken away it is not kept alive, entered or admitted anew: that would bring it back. */
  readonly #removing = new Set<string>();

  constructor(member: Member, parts: Parts, membership: Membership, time: Time) {
    this.#member = member;
    this.#parts = parts;
    this.#membership = membership;
    this.#time = time;
    this.#writes = leaseWrites(member, time);
  }

  get #node(): Member['node'] {
    return this.#member.node;
  }

  async remove(name: string, steps: Steps): Promise<void> {
    await this.#removeIf(() => true, name, steps);
  }

  /** Validates and reserves; repeated by the same joiner it reserves anew. */
  async admit(request: AdmitRequest): Promise<Admission> {
    this.#requireActive();
    // The token first: until then whoever asks is nobody.
    await checkToken(this.#parts, this.#member, request);
    refuseRequest(request, this.#node.view, this.#node.policy, Date.now());
    this.#refuseRemoved(request.nodeName);
    const secured = await admitSecured(this.#parts, this.#member, request, this.#node.view);
    const at = hostPort(request.hostIp, this.#parts.config.consul.server_port);
    await outOfConsul(this.#parts, ({ address }) => address === at);
    const [reservation, name] = [reservationOf(request, secured.record, secured.lifeMs), request.nodeName];
    await this.#writes.inTurn(async () => {
      this.#refuseRemoved(name);
      await this.#writes.write(
        [
          {
            verb: 'set',
            key: `joining/${name}`,
            value: this.#member.signed.sign('joining', name, reservation),
          },
        ],
        (view) => view.joining?.[name]?.at === reservation.at,
      );
    });
    await this.#member.letIn();
    const nodes = this.#node.view?.nodes ?? {};
    return {
      clusterId: this.#membership.clusterId,
      incarnation: this.#node.view?.cluster?.value.incarnation ?? this.#membership.incarnation,
      systemId: this.#membership.systemId,
      secret: this.#membership.secret,
      consulServers: Object.values(nodes).map((record) => record.hostIp),
      gossipKey: null,
      ...(await withData(this.#parts.pg, secured.answer)),
      active: {
        node: this.#node.name,
        hostIp: this.#parts.config.host_ip,
        postgresPort: this.#parts.config.postgres.port,
      },
      members: nodes,
    };
  }

  /** The reservation becomes the node's record; the answer has what only members hold. Idempotent. */
  enrol(name: string, caller?: { node: string; proof: string }): Promise<Enrolled> {
    return this.#writes.inTurn(async () => {
      this.#requireActive();
      const held = this.#node.view?.joining?.[name];
      const record = this.#node.view?.nodes[name] ?? held?.node;
      if (record !== undefined && !isThatNode(this.#parts, caller, name, record))
        throw refuse('forbidden', `the caller is not the ${name} that was admitted`);
      if (this.#node.view?.nodes[name] !== undefined) return memberSecrets(this.#parts);
      if (held === undefined || this.#removing.has(name) || hasEnded(held, Date.now()))
        throw notAdmitted(name);
      await readyToEnter(this.#parts, name, held.node);
      await this.#writes.write(
        [
          {
            verb: 'cas',
            key: `nodes/${name}`,
            value: this.#member.signed.sign('nodes', name, held.node),
            index: 0,
          },
          { verb: 'delete', key: `removed/${name}` },
          { verb: 'delete', key: `joining/${name}` },
        ],
        (view) => view.nodes[name] !== undefined,
      );
      await spendToken(this.#parts, this.#member, name);
      return memberSecrets(this.#parts);
    });
  }

  /**
   * The joiner is still at work: its reservation lives on. Throws operator `not_admitted` when it has ended
   * or was removed.
   */
  keep(name: string, caller?: { node: string; proof: string }): Promise<void> {
    return this.#writes.inTurn(async () => {
      this.#requireActive();
      const held = this.#node.view?.joining?.[name];
      if (held === undefined && this.#node.view?.nodes[name] !== undefined) return;
      if (held === undefined || this.#removing.has(name) || hasEnded(held, Date.now()))
        throw notAdmitted(name);
      if (!isThatNode(this.#parts, caller, name, held.node))
        throw refuse('forbidden', `the caller is not the ${name} that was admitted`);
      const kept = this.#member.signed.sign('joining', name, { ...held, at: new Date().toISOString() });
      await this.#writes.write([{ verb: 'set', key: `joining/${name}`, value: kept }], () => true);
    });
  }

  /**
   * On the active: reservations that have ended are removed, one after the other. Does nothing elsewhere. One
   * that fails holds up no other, and is tried again the next time; its error is thrown at the end.
   */
  async sweep(): Promise<void> {
    const failed: unknown[] = [];
    const ended = (name: string): boolean => {
      const held = this.#node.view?.joining?.[name];
      return held !== undefined && this.#node.view?.nodes[name] === undefined && hasEnded(held, Date.now());
    };
    for (const name of Object.keys(this.#node.view?.joining ?? {})) {
      if (!this.#isActive() || this.#removing.has(name)) continue;
      const steps: Steps = { step: (_, body) => body(() => {}) };
      await this.#removeIf(() => ended(name), name, steps).catch((thrown) => failed.push(thrown));
    }
    if (failed.length > 0) throw failed[0];
  }

  /** Changes the options of nodes/NAME. */
  async update(name: string, change: NodeChange): Promise<void> {
    await this.#writes.inTurn(async () => {
      this.#requireActive();
      const record = this.#node.view?.nodes[name];
      if (record === undefined) throw this.#unknown(name);
      this.#refuseRemoved(name);
      const value = { ...record, options: { ...record.options, ...change } };
      await this.#writes.write([{ verb: 'set', key: `nodes/${name}`, value }], (view) =>
        isDeepStrictEqual(view.nodes[name]?.options, value.options),
      );
    });
  }

  /** Changes the cluster's lease times, on condition that nobody else changed the key meanwhile. */
  async setLease(change: LeaseChange, by: string): Promise<LeaseReport> {
    this.#requireActive();
    const value = withLease(change, this.#node, by);
    const index = this.#node.view?.config?.index ?? 0;
    await this.#writes.write(
      [{ verb: 'cas', key: 'config', value, index }],
      (view) => (view.config?.value.version ?? 0) >= value.version,
    );
    const report = leaseReport(this.#node);
    if (this.#node.view?.config?.value.version === value.version) return report;
    throw new AgentError({
      class: 'transient',
      code: 'consul_unknown',
      message: 'the lease times are written, but were not read back yet',
      hint: "see 'agent cluster lease show'",
    });
  }

  /** Throws when `name` may not be removed. */
  async mayRemove(name: string): Promise<void> {
    this.#requireActive();
    await refuseRemoval(this.#member, name);
  }

  /**
   * Asked and marked in one turn: whoever is being entered is a node first, and removed as one; whoever was
   * admitted anew before it is not. Throws transient `being_removed` where another removal is at work.
   */
  async #removeIf(wanted: () => boolean, name: string, steps: Steps): Promise<void> {
    const begun = await this.#writes.inTurn(async () => {
      if (!wanted()) return false;
      this.#refuseRemoved(name);
      this.#removing.add(name);
      return true;
    });
    if (!begun) return;
    const own = { member: this.#member, parts: this.#parts, writes: this.#writes, time: this.#time };
    try {
      await removeNode(own, name, steps);
    } finally {
      this.#removing.delete(name);
    }
  }

  #isActive(): boolean {
    const { lease } = this.#member.last()?.facts ?? { lease: null };
    return lease?.state === 'mine' && lease.right > 0 && this.#node.fence.state === 'open';
  }

  #requireActive(): void {
    if (this.#isActive()) return;
    const holder = this.#node.view?.active?.value.node ?? '';
    const record = holder === this.#node.name ? undefined : this.#node.view?.nodes[holder];
    throw new NotActiveError(
      record === undefined ? null : { node: holder, host: record.hostIp, port: record.apiPort },
    );
  }

  #unknown(name: string) {
    return noSuchNode(name, Object.keys(this.#node.view?.nodes ?? {}));
  }

  #refuseRemoved(name: string): void {
    if (!this.#removing.has(name)) return;
    throw new AgentError({
      class: 'transient',
      code: 'being_removed',
      message: `${name} is being removed`,
      hint: 'run the command again when that is done',
    });
  }
}
export type Members = ReturnType<typeof createMembers>;
