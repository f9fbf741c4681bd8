/** The active's side of membership: admitting, enrolling, changing and removing nodes (PROTOCOL F). */
import { isDeepStrictEqual } from 'node:util';
import type { Cluster } from '../cluster.ts';
import { hostPort } from '../config.ts';
import { renewWith } from '../core/lease.ts';
import type { TxnOp } from '../core/ports.ts';
import type { View } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import type { Admission, AdmitRequest, LeaseChange, LeaseReport, NodeChange } from '../http/port.ts';
import type { Membership } from '../identity.ts';
import type { Parts } from '../parts.ts';
import { drive } from '../runtime.ts';
import { admitSecured, checkToken, isThatNode, spendToken } from '../security/members.ts';
import { refuse, refuseRequest, reservationOf } from './admit.ts';
import { leaseReport, withLease } from './lease_times.ts';
import { outOfConsul, removeNode } from './remove.ts';
import type { Steps } from './tracker.ts';

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

/** Until the watcher has seen what was just written, ms. */
const SEEN = 2000;

export function createMembers(cluster: Cluster, parts: Parts, membership: Membership) {
  const { ports, node } = cluster;
  const { config } = parts;

  function requireActive(): void {
    const { lease } = cluster.last()?.facts ?? { lease: null };
    if (lease?.state === 'mine' && lease.right > 0 && node.fence === 'open') return;
    const holder = node.view?.active?.value.node ?? '';
    const record = holder === node.name ? undefined : node.view?.nodes[holder];
    throw new NotActiveError(
      record === undefined ? null : { node: holder, host: record.hostIp, port: record.apiPort },
    );
  }

  /** One transaction under the lease (PROTOCOL B.6), and this node's view has it when it returns. */
  async function write(ops: TxnOp[], seen: (view: View) => boolean): Promise<void> {
    const outcome = await drive(renewWith(node, ops), ports);
    if (outcome !== 'ok')
      throw new AgentError({
        class: 'transient',
        code: 'consul_unknown',
        message: `not written: ${outcome}`,
        hint: 'run the command again',
      });
    const until = performance.now() + SEEN;
    while ((node.view === null || !seen(node.view)) && performance.now() < until)
      await new Promise((done) => setTimeout(done, 10));
  }

  const noSuchNode = (name: string) =>
    refuse(
      'no_such_node',
      `there is no node ${name}`,
      `nodes: ${Object.keys(node.view?.nodes ?? {}).join(', ')}`,
    );

  return {
    /** Validates and reserves; repeated by the same joiner it reserves anew. */
    async admit(request: AdmitRequest): Promise<Admission> {
      requireActive();
      // The token first: until then whoever asks is nobody.
      await checkToken(parts, cluster.consul.kv, request);
      refuseRequest(request, node.view, node.policy, Date.now());
      const secured = await admitSecured(parts, cluster.consul.kv, request);
      const address = hostPort(request.hostIp, config.consul.server_port);
      await outOfConsul(parts, (server) => server.address === address);
      const reservation = reservationOf(request, secured.record);
      await write(
        [{ verb: 'set', key: `joining/${request.nodeName}`, value: reservation }],
        (view) => view.joining?.[request.nodeName]?.at === reservation.at,
      );
      await cluster.letIn();
      const nodes = node.view?.nodes ?? {};
      return {
        clusterId: membership.clusterId,
        incarnation: node.view?.cluster?.value.incarnation ?? membership.incarnation,
        systemId: membership.systemId,
        secret: membership.secret,
        consulServers: Object.values(nodes).map((record) => record.hostIp),
        gossipKey: null,
        ...secured.answer,
        active: { node: node.name, hostIp: config.host_ip, postgresPort: config.postgres.port },
        members: nodes,
      };
    },

    /** The reservation becomes the node's record. Idempotent. */
    async enrol(name: string, caller?: { node: string; proof: string }): Promise<void> {
      requireActive();
      const held = node.view?.joining?.[name];
      const record = node.view?.nodes[name] ?? held?.node;
      if (record !== undefined && !isThatNode(caller, name, record))
        throw refuse('forbidden', `the caller is not the ${name} that was admitted`);
      if (node.view?.nodes[name] !== undefined) return;
      if (held === undefined)
        throw refuse('not_admitted', `${name} was not admitted`, "run 'agent cluster join' again");
      await write(
        [
          { verb: 'cas', key: `nodes/${name}`, value: held.node, index: 0 },
          { verb: 'delete', key: `removed/${name}` },
          { verb: 'delete', key: `joining/${name}` },
        ],
        (view) => view.nodes[name] !== undefined,
      );
      await spendToken(parts, cluster.consul.kv, name);
    },

    /** Changes the options of nodes/NAME. */
    async update(name: string, change: NodeChange): Promise<void> {
      requireActive();
      const record = node.view?.nodes[name];
      if (record === undefined) throw noSuchNode(name);
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

    remove: (name: string, steps: Steps): Promise<void> =>
      removeNode(
        {
          cluster,
          parts,
          write: (ops) =>
            write(ops, (view) => view.nodes[name] === undefined || view.nodes[name]?.leaving === true),
          reserved: () => Object.keys(node.view?.joining ?? {}),
        },
        name,
        steps,
      ),

    /** Throws when `name` may not be removed. */
    async mayRemove(name: string): Promise<void> {
      requireActive();
      const nodes = node.view?.nodes ?? {};
      if (nodes[name] === undefined && !node.view?.removed.includes(name)) throw noSuchNode(name);
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
}
export type Members = ReturnType<typeof createMembers>;
