/** The active's side of membership: admitting, enrolling and removing nodes (PROTOCOL F). */
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../cluster.ts';
import { hostPort } from '../config.ts';
import { renewWith } from '../core/lease.ts';
import { AgentError } from '../errors.ts';
import type { Admission, AdmitRequest, NodeChange } from '../http/port.ts';
import type { Membership } from '../identity.ts';
import type { Parts } from '../parts.ts';
import { drive } from '../runtime.ts';
import { version } from '../version.ts';
import { outOfConsul, removeNode } from './remove.ts';
import type { Steps } from './tracker.ts';

const refuse = (code: string, message: string, hint?: string) =>
  new AgentError({ class: 'operator', code, message, ...(hint === undefined ? {} : { hint }) });

/** Says where the active is, so that a joining manager can be sent on. */
export class NotActiveError extends AgentError {
  readonly active: { node: string; host: string; port: number } | null;
  constructor(active: { node: string; host: string; port: number } | null) {
    super({
      class: 'operator',
      code: 'not_cluster_master',
      message: 'this node is not the active',
      hint:
        active === null
          ? 'no node is active right now: try again in a moment'
          : `ask ${active.node} (${active.host})`,
    });
    this.active = active;
  }
  override toJSON() {
    return { ...super.toJSON(), ...(this.active === null ? {} : { active: this.active }) };
  }
}

/** Until the watcher has seen what was just written. */
const SEEN = 2000;

/** Reservations of joins under way; a name is free again when its joiner has been silent for this long. */
const RESERVATION = 15 * 60_000;

export function createMembers(cluster: Cluster, { config, pg }: Parts, membership: Membership) {
  const { ports } = cluster;
  const reserved = new Map<string, { request: AdmitRequest; at: number }>();
  const { node } = cluster;

  function requireActive(): void {
    const { lease } = cluster.last()?.facts ?? { lease: null };
    if (lease?.state === 'mine' && lease.right > 0 && node.fence === 'open') return;
    const holder = node.view?.active?.value.node ?? '';
    const record = holder === node.name ? undefined : node.view?.nodes[holder];
    throw new NotActiveError(
      record === undefined ? null : { node: holder, host: record.hostIp, port: record.apiPort },
    );
  }

  return {
    /** Validates and reserves; repeated by the same joiner it gives the same answer. Writes no key. */
    async admit(request: AdmitRequest): Promise<Admission> {
      requireActive();
      const nodes = node.view?.nodes ?? {};
      for (const [name, { at }] of reserved) if (performance.now() - at > RESERVATION) reserved.delete(name);
      if (nodes[request.nodeName] !== undefined)
        throw refuse(
          'name_taken',
          `there is a node named ${request.nodeName} already`,
          'choose another name, or remove that node first',
        );
      const other = Object.entries(nodes).find(([, record]) => record.hostIp === request.hostIp);
      if (other !== undefined)
        throw refuse(
          'address_taken',
          `${request.hostIp} is the address of node ${other[0]}`,
          'choose another address, or remove that node first',
        );
      for (const { request: held } of reserved.values()) {
        if (held.nodeName !== request.nodeName && held.hostIp === request.hostIp)
          throw refuse('address_taken', `${request.hostIp} is joining as ${held.nodeName}`);
        if (held.nodeName === request.nodeName && held.hostIp !== request.hostIp)
          throw refuse('name_taken', `${request.nodeName} is joining from ${held.hostIp}`);
      }
      const own = node.policy;
      if (
        request.lease.retryPeriod !== own.retryPeriod ||
        request.lease.renewDeadline !== own.renewDeadline ||
        request.lease.leaseDuration !== own.leaseDuration
      ) {
        throw refuse(
          'lease_times_differ',
          `the cluster's lease is ${own.retryPeriod}/${own.renewDeadline}/${own.leaseDuration} ms (retry_period, renew_deadline, lease_duration), this manager's ${request.lease.retryPeriod}/${request.lease.renewDeadline}/${request.lease.leaseDuration}`,
          'set the same lease (preset and check_ttl_multiplier) in its agent.yaml',
        );
      }
      if (majorMinor(request.version) !== majorMinor(version)) {
        throw refuse(
          'version_mismatch',
          `the cluster runs version ${version}, this manager ${request.version}`,
          'install the same version on both',
        );
      }
      reserved.set(request.nodeName, { request, at: performance.now() });
      const address = hostPort(request.hostIp, config.consul.server_port);
      await outOfConsul(cluster, (server) => server.address === address);
      const slots = await pg.ensureSlots(
        [...Object.keys(nodes).filter((name) => name !== node.name), request.nodeName],
        5000,
      );
      if (slots.kind !== 'done') throw refuse('slot_not_made', slots.why);
      const cluster_ = node.view?.cluster?.value;
      return {
        clusterId: membership.clusterId,
        incarnation: cluster_?.incarnation ?? membership.incarnation,
        systemId: membership.systemId,
        secret: membership.secret,
        consulServers: Object.values(nodes).map((record) => record.hostIp),
        gossipKey: null,
        active: { node: node.name, hostIp: config.host_ip, postgresPort: config.postgres.port },
        members: Object.fromEntries(
          Object.entries(nodes).map(([name, r]) => [
            name,
            { hostIp: r.hostIp, apiPort: r.apiPort, postgresPort: r.postgresPort },
          ]),
        ),
      };
    },

    /** Writes nodes/NAME under the lease. Idempotent. */
    async enrol(name: string): Promise<void> {
      requireActive();
      if (node.view?.nodes[name] !== undefined) return;
      const held = reserved.get(name);
      if (held === undefined)
        throw refuse('not_admitted', `${name} was not admitted`, "run 'agent cluster join' again");
      const { request } = held;
      const value = {
        schema: 1,
        hostIp: request.hostIp,
        publicIp: request.publicIp,
        apiPort: request.apiPort,
        postgresPort: request.postgresPort,
        version: request.version,
        options: { priority: request.priority, nofailover: request.nofailover, maintenance: false },
      };
      const outcome = await drive(
        renewWith(node, [
          { verb: 'cas', key: `nodes/${name}`, value, index: 0 },
          { verb: 'delete', key: `removed/${name}` },
        ]),
        ports,
      );
      if (outcome !== 'ok')
        throw new AgentError({
          class: 'transient',
          code: 'consul_unknown',
          message: `${name} was not entered: ${outcome}`,
          hint: 'run the join again',
        });
      reserved.delete(name);
    },

    /** Changes the options of nodes/NAME under the lease; the new record is in this node's view when it returns. */
    async update(name: string, change: NodeChange): Promise<void> {
      requireActive();
      const record = node.view?.nodes[name];
      if (record === undefined)
        throw refuse(
          'no_such_node',
          `there is no node ${name}`,
          `nodes: ${Object.keys(node.view?.nodes ?? {}).join(', ')}`,
        );
      const options = { ...record.options, ...change };
      await write([{ verb: 'set', key: `nodes/${name}`, value: { ...record, options } }]);
      const until = performance.now() + SEEN;
      while (!isDeepStrictEqual(node.view?.nodes[name]?.options, options) && performance.now() < until)
        await new Promise((done) => setTimeout(done, 10));
    },

    remove: (name: string, steps: Steps): Promise<void> =>
      removeNode({ cluster, config, pg, write, reserved: () => [...reserved.keys()] }, name, steps),

    /** Throws when `name` may not be removed. */
    async mayRemove(name: string): Promise<void> {
      requireActive();
      const nodes = node.view?.nodes ?? {};
      if (nodes[name] === undefined && !node.view?.removed.includes(name))
        throw refuse('no_such_node', `there is no node ${name}`, `nodes: ${Object.keys(nodes).join(', ')}`);
      if (name === node.name)
        throw refuse(
          'node_is_active',
          `${name} is the active`,
          "hand over first: 'agent cluster set-active NAME'",
        );
      const members = await cluster.consul.catalog.members();
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
          `of the ${left.length} nodes that would be left only ${alive.length} are alive: that is no majority`,
          'bring another node back first',
        );
      }
    },
  };

  async function write(ops: Parameters<typeof renewWith>[1]): Promise<void> {
    const outcome = await drive(renewWith(node, ops), ports);
    if (outcome !== 'ok')
      throw new AgentError({
        class: 'transient',
        code: 'consul_unknown',
        message: `not written: ${outcome}`,
        hint: 'run the command again',
      });
  }
}
export type Members = ReturnType<typeof createMembers>;

const majorMinor = (text: string): string => text.split('.').slice(0, 2).join('.');
