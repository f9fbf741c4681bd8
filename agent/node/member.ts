/**
 * One node in a cluster: the real parts behind the core's ports, and the core's processes running on them.
 * Made when the node is (or becomes) a member; closed when the agent stops. Closing leaves PostgreSQL and
 * Consul running.
 */
import type { ConsulClient } from '../consul/client.ts';
import type { ConsulKv } from '../consul/port.ts';
import type { Decision } from '../core/decide.ts';
import type { Durable } from '../core/durable.ts';
import type { Facts } from '../core/facts.ts';
import { isMine } from '../core/lease_view.ts';
import { machineShutsDown } from '../core/memory/main.ts';
import { createContext, type NodeContext } from '../core/node.ts';
import type { FailsafeRequest, VoteReply, VoteRequest } from '../core/ports.ts';
import { processes } from '../core/processes.ts';
import { standbyName } from '../core/records.ts';
import type { Log } from '../log/log.ts';
import { createPeers, type Peers } from '../peers/peers.ts';
import { sleep, systemClock, until } from '../platform/clock.ts';
import { DETACH } from '../roles/postgres/port.ts';
import { type SignedRecords, signedRecordsOf } from '../security/signed_records.ts';
import { durableStore, instanceOf, newClone } from '../state/identity.ts';
import { version } from '../version.ts';
import { peerSelf } from './access.ts';
import { createLocks, createNap, drive, type RealPorts, supervise } from './drive.ts';
import { clientsOf, type Housekeeping, houseOf } from './house.ts';
import type { Admitted } from './housekeeping.ts';
import type { MemberParts } from './parts.ts';
import { policyOf } from './policy.ts';
import { realPorts } from './real_ports.ts';

/** ms; without an answer by then the next agent has what is left. */
const LAST_RENEWAL = 300;
const ENDING = 1000;

type Processes = ReturnType<typeof processes>;

export type Member = {
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
   * The machine shuts down: hand over to a fit standby, or release the lease, for at most `ms`. True once
   * another may be active: at once on a standby. Call it before `close`; there is no way back.
   */
  shutdown(ms: number): Promise<boolean>;
  /** Ends the processes. The lease, PostgreSQL and Consul stay as they are. */
  close(): Promise<void>;
};

export function createMember(given: MemberParts): Member {
  const { config, log, parts } = given;
  const abort = new AbortController();
  const locks = createLocks();
  const nap = createNap();
  const store = durableStore(config);
  const clients = clientsOf(given);
  const signed = signedRecordsOf(parts, given.membership, log.for('consul-watcher'));
  let last: { decision: Decision; facts: Facts } | null = null;
  const callbacks: ((decision: Decision, facts: Facts) => void)[] = [];

  const node = contextOf(given, store.load(), nap.wake, locks.unlock);
  store.save(node.copy.durable);
  const peers = peersOf(given, node);
  const ports = realPorts({
    config,
    node,
    log,
    pg: parts.pg,
    services: parts.services,
    fence: parts.fence,
    files: parts.files,
    peers,
    consul: clients.consul,
    watchConsul: clients.watching,
    memberKv: clients.managing.kv,
    gate: signed,
    store,
    locks,
    nap,
    progress: given.progress,
    signal: abort.signal,
  });
  const core = processes(node, {
    newClone,
    spawn(procedure) {
      drive(procedure, ports, abort.signal).catch(crashed(log, 'a long task'));
    },
    decided(decision, facts) {
      last = { decision, facts };
      parts.limitLease(node.policy.renewDeadline);
      for (const callback of callbacks) callback(decision, facts);
    },
  });
  const house = houseOf(given, { node, clients, signed, ports, signal: abort.signal });
  parts.pg.onLost(() => nap.wake());
  const running = runProcesses(given, { node, core, house, ports, signal: abort.signal });

  return {
    node,
    consul: clients.consul,
    memberKv: clients.managing.kv,
    signed,
    peers,
    ports,
    last: () => last,
    letIn: () => house.letIn(),
    admitted: () => house.admitted(),
    answerVote: async (request) =>
      (await drive(core.answerVote(request), ports, abort.signal)) ?? { kind: 'unknown' },
    answerFailsafe: core.answerFailsafe,
    onDecision: (callback) => callbacks.push(callback),
    shutdown: (ms) => handOver(node, nap.wake, ms),
    async close() {
      await Promise.race([
        drive(core.lastRenewal(), ports, abort.signal).catch(crashed(log, 'the last renewal')),
        sleep(LAST_RENEWAL),
      ]);
      // A copy of the database goes on without the agent where it can; leaving the cluster ends it by itself.
      abort.abort(DETACH);
      nap.wake();
      await Promise.race([running, sleep(ENDING)]);
    },
  };
}

function contextOf(
  { config, membership, log, parts, checks }: MemberParts,
  durable: Durable,
  wake: () => void,
  unlock: NodeContext['unlock'],
): NodeContext {
  return createContext({
    name: membership.nodeName,
    instance: instanceOf(config),
    version,
    policy: policyOf(config),
    now: systemClock.now,
    wall: systemClock.wall,
    log: (event) => log.for(event.component as 'handler-runner')[event.level](event.message),
    wake,
    unlock,
    checks,
    durable,
    certificates: parts.security.inPostgres,
    signs: () => parts.security.current() !== undefined,
  });
}

const peersOf = ({ membership, parts }: MemberParts, node: NodeContext): Peers =>
  createPeers(
    (name) => {
      const record = node.view?.nodes[name];
      if (record === undefined || record.hostIp === '') return undefined;
      return { host: record.hostIp, port: record.apiPort };
    },
    () => membership.secret,
    () => peerSelf(parts),
  );

/** Begins the core's processes; resolves when the last has ended. */
function runProcesses(
  { log, parts }: MemberParts,
  {
    node,
    core,
    house,
    ports,
    signal,
  }: {
    node: NodeContext;
    core: Processes;
    house: Housekeeping;
    ports: RealPorts;
    signal: AbortSignal;
  },
): Promise<unknown> {
  const begin = (what: string, process: Parameters<typeof supervise>[0]) =>
    supervise(process, ports, signal, crashed(log, what));
  // A lease that this node holds is renewed before anything else: what renews it waits for nobody. The
  // watcher only reads: `close` does not wait for its standing query either.
  void begin('consul-watcher', core.watcher);
  return Promise.all([
    begin('the lease keeper', core.keeper),
    begin('the guard', core.guard),
    parts.pg
      .setIdentity(standbyName({ node: node.name, clone: node.copy.durable.clone }))
      // The helper learns it again with its next connection; the core does not wait for that.
      .catch((thrown: unknown) => log.for('postgres').error(thrown))
      .then(() =>
        Promise.all([
          begin('the main loop', core.main),
          begin('the hook runner', core.hookRunner),
          house.run(),
        ]),
      ),
  ]);
}

const crashed = (log: Log, what: string) => (thrown: unknown) =>
  log.for('handler-runner').error(`${what} failed and is started again:`, thrown);

async function handOver(node: NodeContext, wake: () => void, ms: number): Promise<boolean> {
  machineShutsDown(node.main);
  wake();
  const holding = () => isMine(node.lease, node.name, node.instance);
  await until(() => !holding(), { timeout: ms });
  return !holding();
}
