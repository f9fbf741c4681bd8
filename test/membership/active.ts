/**
 * The active's side with nothing real about it: its lease and its keys in a store, and the Consul servers and
 * slots of the cluster.
 */
import type { AdmitRequest } from '../../agent/api/types.ts';
import { grant } from '../../agent/core/lease_times.ts';
import type { Call, TxnOp } from '../../agent/core/ports.ts';
import type { JoiningRecord } from '../../agent/core/records.ts';
import { createMembers } from '../../agent/membership/members.ts';
import type { Steps } from '../../agent/membership/tracker.ts';
import { createLocks, type RealPorts } from '../../agent/node/drive.ts';
import type { Member } from '../../agent/node/member.ts';
import type { Parts } from '../../agent/node/parts.ts';
import type { Membership } from '../../agent/state/identity.ts';
import { version } from '../../agent/version.ts';
import { node, nodeRecord, syncRecord } from '../core/build.ts';
import { Stage } from '../core/stage.ts';
import { FakeConsul } from '../fakes/consul.ts';
import { hurriedTime, type Mishap, Outside } from './outside.ts';

const unknown = { kind: 'unknown', cause: { code: 'timeout' } } as const;
const config = {
  ...{ node_name: 'a', host_ip: '10.0.0.a', api: { tls: false } },
  consul: { mode: 'child', prefix: 'c', server_port: 8300 },
  postgres: { port: 5432 },
} as unknown as Parts['config'];

/** What all processes of the active share: Consul, and PostgreSQL's slots. */
export class ActiveWorld {
  readonly stage = new Stage();
  readonly consul = new FakeConsul({ nodes: ['a', 'b', 'c'] });
  slots = ['b', 'c'];
  /** Which reservations and nodes somebody shut out once, token and all. */
  readonly revoked: string[] = [];
  secured = false;
  /** Names of servers that Consul does not take out. */
  stuck: string[] = [];
  /** A call of that name is held up until the promise is there. */
  holdUp: Record<string, Promise<void>> = {};
  /** Somewhere between the two a joiner had neither a reservation nor a record. */
  readonly lost: string[] = [];

  get store() {
    return this.stage.store;
  }

  /** A joiner that was admitted, and whose Consul votes. */
  reserve(name: string, { ended = false } = {}): JoiningRecord {
    const at = new Date(Date.now() - (ended ? 2 * 3_600_000 : 0)).toISOString();
    const held = { schema: 1 as const, at, lifeMs: 600_000, node: nodeRecord(name) };
    this.store.put(`joining/${name}`, held);
    const address = `10.0.0.${name}:8300`;
    this.consul.state.raft = [
      ...this.consul.state.raft,
      { id: `id-${name}`, node: name, address, leader: false, voter: true },
    ];
    this.slots.push(name);
    return held;
  }

  raft = (): string[] => this.consul.state.raft.map((server) => server.node);
  keys = (): string[] => {
    const { nodes, joining = {}, removed, states } = this.store.view();
    return [
      ...Object.keys(nodes).map((name) => `nodes/${name}`),
      ...Object.keys(joining).map((name) => `joining/${name}`),
      ...removed.map((name) => `removed/${name}`),
      ...Object.keys(states).map((name) => `state/${name}`),
    ].sort();
  };

  /** One process of the agent on the active. */
  agent(at?: { call: number; mishap: Mishap }) {
    const outside = new Outside(at);
    const { stage } = this;
    const locks = createLocks();
    const n = node('a', stage, {
      unlock: (name: Parameters<typeof locks.unlock>[0]) => locks.unlock(name),
      fence: { state: 'open' },
    });
    stage.sees(n);
    n.lease = { ...grant(n.lease, 5, stage.now + 1e9), lastSeq: 0 };
    const real = {
      txn: async (ops: TxnOp[]) => {
        await this.holdUp.txn;
        const done = stage.store.txn(ops);
        this.#follow(ops);
        setImmediate(() => stage.sees(n));
        return done;
      },
    };
    const consul = outside.wrap('consul', real, ['txn'], { unknown: { kind: 'unknown' } });
    const ports = this.#ports(consul, locks);
    const client = this.consul.client('a');
    const looks = ['raftConfiguration', 'removeRaftPeer', 'forceLeave'];
    const catalog = {
      raftConfiguration: () => client.catalog.raftConfiguration(),
      members: () => client.catalog.members(),
      removeRaftPeer: async (id: string) => {
        await this.holdUp.removeRaftPeer;
        return this.stuck.includes(id) ? unknown : client.catalog.removeRaftPeer(id);
      },
      forceLeave: (name: string) => client.catalog.forceLeave(name, { prune: true }),
    };
    const kv = {
      delete: async (key: string) => {
        stage.store.drop(key.replace('c/', ''));
        return { kind: 'ok' };
      },
    };
    const admin = {
      catalog: outside.wrap('catalog', catalog, looks, { unknown }),
      kv: outside.wrap('kv', kv, ['delete'], { unknown }),
    };
    const pg = {
      inspect: async () => ({ version: 15 }),
      ensureSlots: async (nodes: string[], _ms: number, drop = false) => {
        this.slots = [...new Set([...(drop ? [] : this.slots), ...nodes])].sort();
        return { kind: 'done' };
      },
    };
    const parts = {
      config,
      pg: outside.wrap('pg', pg, ['ensureSlots']),
      consul: { admin: () => admin },
      security: { current: () => undefined },
    } as unknown as Parts;
    const lease = { state: 'mine', right: 1000 };
    const member = {
      ...{ node: n, ports, signed: { sign: (_place: string, _name: string, record: unknown) => record } },
      ...{ last: () => ({ facts: { lease } }), letIn: async () => [], memberKv: client.kv },
      consul: { catalog: client.catalog },
    } as unknown as Member;
    const membership = { clusterId: 'cluster', incarnation: 1, systemId: 'sys', secret: 's' } as Membership;
    const members = createMembers(member, parts, membership, hurriedTime());
    const steps: Steps = { step: (_, body) => body(() => {}) };
    const alive = async <T>(work: Promise<T>): Promise<T | Error> =>
      await Promise.race([
        work.catch((thrown: Error) => thrown),
        outside.died.then(() => new Error('the process died')),
      ]);
    return {
      ...{ outside, members, node: n, steps, lease },
      remove: (name: string) => alive(members.remove(name, steps)),
      admit: (request: AdmitRequest) => alive(members.admit(request)),
      enrol: (name: string) => alive(members.enrol(name)),
      sweep: () => alive(members.sweep()),
    };
  }

  #ports(consul: { txn(ops: TxnOp[]): Promise<unknown> }, locks: ReturnType<typeof createLocks>): RealPorts {
    const answer =
      (port: string, method: string) =>
      async (...args: unknown[]) => {
        if (port === 'time' && method === 'lock') return await locks.lock(args[0] as 'lease');
        if (port === 'consul' && method === 'txn') return await consul.txn(args[0] as TxnOp[]);
        return this.stage.answer({ port, method, args } as unknown as Call);
      };
    const methods = (port: string) => new Proxy({}, { get: (_, method) => answer(port, String(method)) });
    return new Proxy({}, { get: (_, port) => methods(String(port)) }) as RealPorts;
  }

  /** What the others do about it, and what may never be so. */
  #follow(ops: TxnOp[]): void {
    const { nodes, joining = {} } = this.store.view();
    const leaving = Object.keys(nodes).filter((name) => nodes[name]?.leaving);
    const sync = this.store.sync;
    if (sync.voters.some(({ node: name }) => leaving.includes(name)))
      this.store.put('sync', syncRecord({ voters: sync.voters.filter((v) => !leaving.includes(v.node)) }));
    for (const op of ops)
      if (op.verb === 'cas' && op.key.startsWith('nodes/')) {
        const name = op.key.slice('nodes/'.length);
        if (nodes[name] === undefined && joining[name] === undefined) this.lost.push(name);
      }
  }
}

export const request = (nodeName: string, over: Partial<AdmitRequest> = {}): AdmitRequest => ({
  ...{ nodeName, hostIp: `10.0.0.${nodeName}`, publicIp: null, apiPort: 8700, postgresPort: 5432 },
  ...{ version, priority: 100, nofailover: false },
  lease: { retryPeriod: 1000, renewDeadline: 4000, leaseDuration: 6000 },
  ...over,
});
