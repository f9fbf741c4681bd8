/**
 * One node in a cluster: the real parts behind the core's ports, and the core's processes running on them. Made when the
 * node is (or becomes) a member; closed when the agent stops. Closing leaves PostgreSQL and Consul running.
 */
import type { NodeConfig } from '../config/index.ts';
import { type ConsulClient, createConsulClient } from '../consul/client.ts';
import type { ConsulKv } from '../consul/port.ts';
import type { Decision } from '../core/decide.ts';
import type { Facts } from '../core/facts.ts';
import { isMine } from '../core/lease_view.ts';
import { machineShutsDown } from '../core/memory/main.ts';
import { createContext, type NodeContext } from '../core/node.ts';
import type { CheckSummary, FailsafeRequest, VoteReply, VoteRequest } from '../core/ports.ts';
import { processes } from '../core/processes.ts';
import { standbyName } from '../core/records.ts';
import type { Log } from '../log/log.ts';
import { createPeers, type Peers } from '../peers/peers.ts';
import { sleep, systemClock } from '../platform/clock.ts';
import { DETACH, type Progress } from '../roles/postgres/port.ts';
import { type SignedRecords, signedRecordsOf } from '../security/signed_records.ts';
import { durableStore, instanceOf, type Membership, newClone } from '../state/identity.ts';
import { version } from '../version.ts';
import { consulAccess, managementAccess, peerSelf } from './access.ts';
import { createLocks, createNap, drive, type RealPorts, supervise } from './drive.ts';
import { followSecrets, narrowOwnToken } from './follow_secrets.ts';
import { type Admitted, housekeeping, serverUrls } from './housekeeping.ts';
import { ownRecord } from './own_record.ts';
import type { Parts } from './parts.ts';
import { policyOf } from './policy.ts';
import { realPorts } from './real_ports.ts';
import { stopOnceOut } from './removed.ts';
import { signingOf } from './sign_members.ts';

/** ms; without an answer by then the next agent has what is left. */
const LAST_RENEWAL = 300;

export type ClusterParts = {
  config: NodeConfig;
  membership: Membership;
  log: Log;
  parts: Parts;
  /** The cluster has let this node go: to be made durable. */
  whenRemoved?: () => void;
  /** Makes the members' addresses durable. */
  remember?: (hosts: readonly string[]) => void;
  /** The check-runner's word; asked anew at every tick. */
  checks: () => CheckSummary;
  progress: Progress;
};

export type Cluster = {
  readonly node: NodeContext;
  readonly consul: ConsulClient;
  /** With the management token: for the keys that say who is a member (`isMembershipKey`). */
  readonly memberKv: ConsulKv;
  readonly signed: SignedRecords;
  readonly peers: Peers;
  readonly ports: RealPorts;
  /** The last decision and the facts it was made of; null before the first. */
  last(): { decision: Decision; facts: Facts } | null;
  /** Let the members, and who is joining, in everywhere now. Resolves with what failed. */
  letIn(): Promise<string[]>;
  /** Nodes and managers that are joining. */
  admitted(): Admitted;
  answerVote(request: VoteRequest): Promise<VoteReply>;
  answerFailsafe(request: FailsafeRequest): boolean;
  onDecision(callback: (decision: Decision, facts: Facts) => void): void;
  /**
   * The machine shuts down: hand over to a fit standby, or release the lease, for at most `ms`. True once another may be
   * active: at once on a standby. Call it before `close`; there is no way back.
   */
  shutdown(ms: number): Promise<boolean>;
  /** Ends the processes. The lease, PostgreSQL and Consul stay as they are. */
  close(): Promise<void>;
};

export function createCluster(parts: ClusterParts): Cluster {
  const { config, membership, log } = parts;
  const { pg, services } = parts.parts;
  const abort = new AbortController();
  const locks = createLocks();
  const nap = createNap();
  const store = durableStore(config);
  const consulOptions = {
    servers: serverUrls(config, membership),
    deadlineMs: 1000,
    attemptMs: 500,
    ...consulAccess(parts.parts),
  };
  const consul = createConsulClient(consulOptions);
  const watchConsul = createConsulClient(consulOptions);
  const memberConsul = createConsulClient({ ...consulOptions, ...managementAccess(parts.parts) });
  const signed = signedRecordsOf(parts.parts, membership, log.for('consul-watcher'));
  let last: { decision: Decision; facts: Facts } | null = null;
  const callbacks: ((decision: Decision, facts: Facts) => void)[] = [];

  const node = createContext({
    name: membership.nodeName,
    instance: instanceOf(config),
    version,
    policy: policyOf(config),
    now: systemClock.now,
    wall: systemClock.wall,
    log: (event) => log.for(event.component as 'handler-runner')[event.level](event.message),
    wake: nap.wake,
    unlock: locks.unlock,
    checks: parts.checks,
    durable: store.load(),
    certificates: parts.parts.security.inPostgres,
    signs: () => parts.parts.security.current() !== undefined,
  });
  store.save(node.copy.durable);

  const peers = createPeers(
    (name) => {
      const record = node.view?.nodes[name];
      return record === undefined || record.hostIp === ''
        ? undefined
        : { host: record.hostIp, port: record.apiPort };
    },
    () => membership.secret,
    () => peerSelf(parts.parts),
  );
  const ports = realPorts({
    config,
    node,
    log,
    pg,
    services,
    fence: parts.parts.fence,
    files: parts.parts.files,
    peers,
    consul,
    watchConsul,
    memberKv: memberConsul.kv,
    gate: signed,
    store,
    locks,
    nap,
    progress: parts.progress,
    signal: abort.signal,
  });
  const crashed = (what: string) => (thrown: unknown) =>
    log.for('handler-runner').error(`${what} failed and is begun again:`, thrown);
  const core = processes(node, {
    newClone,
    spawn(procedure) {
      drive(procedure, ports, abort.signal).catch(crashed('a long task'));
    },
    decided(decision, facts) {
      last = { decision, facts };
      parts.parts.limitLease(node.policy.renewDeadline);
      for (const callback of callbacks) callback(decision, facts);
    },
  });
  const narrow = narrowOwnToken(parts.parts);
  const sign = signingOf(parts.parts, { signed, memberKv: memberConsul.kv, node, ports });
  const out = stopOnceOut(parts.parts, consul.catalog, systemClock.now);
  const house = housekeeping({
    config,
    membership,
    node,
    pg,
    clients: [consul, watchConsul, memberConsul],
    doors: parts.parts.doors,
    ...(parts.remember === undefined ? {} : { remember: parts.remember }),
    // Its server would hear the new gossip key and stay a member of Consul; the data is kept.
    ...(config.consul.tls && config.consul.mode !== 'external'
      ? {
          whenRemoved: async () => {
            await out();
            parts.whenRemoved?.();
          },
        }
      : {}),
    keepRecord: ownRecord({
      parts: parts.parts,
      kv: memberConsul.kv,
      records: signed,
      view: () => node.view,
      name: node.name,
      say: (line) => log.for('handler-runner').info(line),
    }),
    chore: async () => {
      await followSecrets(parts.parts, consul.kv, node);
      await narrow();
      await sign();
    },
    log: log.for('handler-runner'),
    signal: abort.signal,
  });
  pg.onLost(() => nap.wake());
  // A lease that this node holds is renewed before anything else: what renews it waits for nobody. The watcher only reads: `close` does
  // not wait for its standing query either.
  void supervise(core.watcher, ports, abort.signal, crashed('consul-watcher'));
  const running = Promise.all([
    supervise(core.keeper, ports, abort.signal, crashed('the lease keeper')),
    supervise(core.guard, ports, abort.signal, crashed('the guard')),
    pg
      .setIdentity(standbyName({ node: node.name, clone: node.copy.durable.clone }))
      // The helper learns it again with its next connection; the core does not wait for that.
      .catch((thrown: unknown) => log.for('postgres').error(thrown))
      .then(() =>
        Promise.all([
          supervise(core.main, ports, abort.signal, crashed('the main loop')),
          supervise(core.hookRunner, ports, abort.signal, crashed('the hook runner')),
          house.run(),
        ]),
      ),
  ]);

  return {
    node,
    consul,
    memberKv: memberConsul.kv,
    signed,
    peers,
    ports,
    last: () => last,
    letIn: () => house.letIn(),
    admitted: house.admitted,
    async answerVote(request) {
      return (await drive(core.answerVote(request), ports, abort.signal)) ?? { kind: 'unknown' };
    },
    answerFailsafe: core.answerFailsafe,
    onDecision: (callback) => callbacks.push(callback),
    async shutdown(ms) {
      machineShutsDown(node.main);
      nap.wake();
      const holding = () => isMine(node.lease, node.name, node.instance);
      const until = systemClock.now() + ms;
      while (holding() && systemClock.now() < until) await new Promise((next) => setTimeout(next, 20));
      return !holding();
    },
    async close() {
      await Promise.race([
        drive(core.lastRenewal(), ports, abort.signal).catch(crashed('the last renewal')),
        sleep(LAST_RENEWAL),
      ]);
      // A copy of the database goes on without the agent where it can; leaving the cluster ends it by itself.
      abort.abort(DETACH);
      nap.wake();
      await Promise.race([running, new Promise((done) => setTimeout(done, 1000))]);
    },
  };
}
