/**
 * One node in a cluster: the real parts behind the core's ports, and the core's processes running on them. Made when the
 * node is (or becomes) a member; closed when the agent stops. Closing leaves PostgreSQL and Consul running.
 */
import { consulUrls, effectiveLease, type NodeConfig } from './config.ts';
import { type ConsulClient, createConsulClient } from './consul/client.ts';
import { consulPort } from './consul/view.ts';
import type { Decision } from './core/decide.ts';
import type { CheckSummary, Facts } from './core/facts.ts';
import { createContext, type NodeContext } from './core/node.ts';
import type { Policy } from './core/policy.ts';
import { defaultPolicy } from './core/policy.ts';
import type { VoteReply, VoteRequest } from './core/ports.ts';
import type { Outcome } from './core/postgres.ts';
import { processes } from './core/processes.ts';
import { standbyName } from './core/records.ts';
import { createPeers, type Peers } from './http/peers.ts';
import { durableStore, instanceOf, type Membership, newClone } from './identity.ts';
import type { Log } from './log.ts';
import { systemClock } from './platform/clock.ts';
import { runHooks } from './roles/hooks.ts';
import type { Postgres, Progress } from './roles/postgres/port.ts';
import type { ServiceRunner } from './roles/service_runner.ts';
import { createLocks, createNap, drive, type RealPorts, supervise } from './runtime.ts';
import { version } from './version.ts';

export type ClusterParts = {
  config: NodeConfig;
  membership: Membership;
  log: Log;
  pg: Postgres;
  services: ServiceRunner;
  /** The check-runner's word; asked anew at every tick. */
  checks: () => CheckSummary;
  progress: Progress;
};

export type Cluster = {
  readonly node: NodeContext;
  readonly consul: ConsulClient;
  readonly peers: Peers;
  readonly ports: RealPorts;
  /** The last decision and the facts it was made of; null before the first. */
  last(): { decision: Decision; facts: Facts } | null;
  answerVote(request: VoteRequest): Promise<VoteReply>;
  onDecision(callback: (decision: Decision, facts: Facts) => void): void;
  /** Ends the processes. The lease, PostgreSQL and Consul stay as they are. */
  close(): Promise<void>;
};

export function policyOf(config: NodeConfig): Policy {
  const lease = effectiveLease(config);
  return {
    ...defaultPolicy,
    retryPeriod: lease.retry_period,
    renewDeadline: lease.renew_deadline,
    leaseDuration: lease.lease_duration,
    fencingTime: lease.fencing_time,
    primaryStartTimeout: config.postgres.primary_start_timeout,
    stopTimeout: Math.min(config.postgres.stop_timeout, 10_000),
    synchronousMode: config.synchronous_mode,
    maximumLagOnFailover: config.maximum_lag_on_failover,
    priority: config.tags.priority,
    nofailover: config.tags.nofailover,
    cooldown: config.failover.delay_limit,
    failedCooldown: config.failover.cooldown,
    worstCase: {
      promote: Math.min(1500, lease.renew_deadline / 2),
      start: Math.min(1500, lease.renew_deadline / 2),
      open: Math.min(500, lease.renew_deadline / 4),
    },
  };
}

export function createCluster(parts: ClusterParts): Cluster {
  const { config, membership, log, pg, services } = parts;
  const abort = new AbortController();
  const locks = createLocks();
  const nap = createNap();
  const store = durableStore(config);
  const consul = createConsulClient({
    servers: serverUrls(config, membership),
    deadlineMs: 1000,
    attemptMs: 500,
  });
  const watchConsul = createConsulClient({
    servers: serverUrls(config, membership),
    deadlineMs: 1000,
    attemptMs: 500,
  });
  const prefix = `${config.consul.prefix}/`;
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
  });
  store.save(node.durable);

  const peers = createPeers(
    (name) => {
      const record = node.view?.nodes[name];
      return record === undefined ? undefined : { host: record.hostIp, port: record.apiPort };
    },
    () => membership.secret,
  );
  const bad = (thrown: unknown) => log.for('consul-watcher').error(thrown);
  const kv = consulPort(consul.kv, prefix, bad);
  const watch = consulPort(watchConsul.kv, prefix, bad);
  const failed = (thrown: unknown): Outcome => ({
    kind: 'failed',
    why: thrown instanceof Error ? thrown.message : String(thrown),
  });

  const ports: RealPorts = {
    consul: { watch: watch.watch, read: kv.read, txn: kv.txn },
    pg: {
      facts: (ms) => pg.facts(ms),
      startStandby: (ms) => pg.startStandby(ms).catch(failed),
      startPrimary: async (ms) => {
        const started = await pg.startPrimary(ms).catch(failed);
        // A founder's database has no such role yet; everywhere else this only looks.
        return started.kind === 'done' ? await pg.ensureReplicationRole(ms).catch(failed) : started;
      },
      stop: (mode, ms, thenStandby) =>
        pg.stop(mode, ms, thenStandby).catch((thrown) => ({ kind: 'failed', why: String(thrown) }) as const),
      checkpoint: (ms) => pg.checkpoint(ms).catch(failed),
      promote: (ms) => pg.promote(ms).catch(failed),
      setUpstream: (upstream, ms) => pg.setUpstream(upstream, ms).catch(failed),
      setSyncList: (list, ms) => pg.setSyncList(list, ms).catch(failed),
      replication: (ms) => pg.replication(ms).catch(() => null),
      position: (ms) => pg.position(ms).catch(() => null),
      history: (tli) => pg.history(tli).catch(() => null),
      reserveTimelines: (next) => pg.reserveTimelines(next).catch(failed),
      ensureSlots: (names, ms) => pg.ensureSlots(names, ms).catch(failed),
      rebuild: async (how, from, clone) => {
        try {
          const done =
            how === 'rewind'
              ? await pg.rewind(from, parts.progress, abort.signal)
              : await pg.basebackup(from, parts.progress, abort.signal);
          if (done.kind === 'done') await pg.setIdentity(standbyName({ node: node.name, clone }));
          return done;
        } catch (thrown) {
          return failed(thrown);
        }
      },
      saveDivergence: async (epoch, fork, reason) => pg.saveDivergence({ epoch, fork, reason }).catch(failed),
    },
    fence: {
      close: (ms) => pg.fence(ms).catch(failed),
      // The last look at the clock before clients come in (PROTOCOL B.5).
      open: async (until, ms) =>
        systemClock.now() < until
          ? pg.unfence(ms).catch(failed)
          : { kind: 'failed', why: 'the right has run out' },
      extend: () => {},
    },
    services: {
      facts: () => services.facts(),
      up: () => services.up(),
      down: () => services.down(),
      repair: (names) => services.repair(names),
    },
    hooks: { run: (phase, facts) => runHooks(config.paths.hooks_dir, phase, facts) },
    peers: {
      votes: (nodes, request, ms) => peers.votes(nodes, request, ms),
      state: (name, ms) => peers.state(name, ms),
    },
    store: { save: (durable) => store.save(durable) },
    state: {
      publish: (state) => publisher.publish(JSON.stringify(state)),
    },
    time: {
      nap: (ms) => nap.nap(ms),
      sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
      lock: (name) => locks.lock(name),
    },
  };

  const publisher = latestOnly((text) => consul.kv.put(`${prefix}state/${node.name}`, text, { deadlineMs: 1000 }));
  const core = processes(node, {
    newClone,
    decided(decision, facts) {
      last = { decision, facts };
      for (const callback of callbacks) callback(decision, facts);
    },
  });
  const crashed = (what: string) => (thrown: unknown) =>
    log.for('handler-runner').error(`${what} failed and is begun again:`, thrown);
  pg.onLost(() => nap.wake());
  const running = pg
    .setIdentity(standbyName({ node: node.name, clone: node.durable.clone }))
    .then(() =>
      Promise.all([
        supervise(core.watcher, ports, abort.signal, crashed('consul-watcher')),
        supervise(core.keeper, ports, abort.signal, crashed('the lease keeper')),
        supervise(core.guard, ports, abort.signal, crashed('the guard')),
        supervise(core.main, ports, abort.signal, crashed('the main loop')),
        housekeeping(),
      ]),
    );

  /** Slots for all members on every node (PROTOCOL E.3), and Consul's servers as they are now. */
  async function housekeeping(): Promise<void> {
    let known = '';
    while (!abort.signal.aborted) {
      const names = Object.keys(node.view?.nodes ?? {}).sort();
      const urls = [
        ...new Set([
          ...serverUrls(config, membership),
          ...Object.values(node.view?.nodes ?? {}).map(
            (n) => `http://${n.hostIp}:${config.consul.http_port}`,
          ),
        ]),
      ];
      if (urls.join() !== known) {
        known = urls.join();
        consul.transport.setServers(urls);
        watchConsul.transport.setServers(urls);
      }
      if (node.pg?.accepting && names.length > 0) {
        const others = names.filter((name) => name !== node.name);
        await pg.ensureSlots(others, 2000).catch(() => {});
        if (node.pg.role === 'standby') await pg.advanceSlots(2000).catch(() => {});
      }
      await interruptible(node.pg?.accepting ? 10_000 : 500);
    }
  }

  function interruptible(ms: number): Promise<void> {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      abort.signal.addEventListener(
        'abort',
        () => {
          clearTimeout(timer);
          done();
        },
        { once: true },
      );
    });
  }

  return {
    node,
    consul,
    peers,
    ports,
    last: () => last,
    async answerVote(request) {
      return (await drive(core.answerVote(request), ports, abort.signal)) ?? { kind: 'unknown' };
    },
    onDecision: (callback) => callbacks.push(callback),
    async close() {
      abort.abort();
      nap.wake();
      await Promise.race([running, new Promise((done) => setTimeout(done, 1000))]);
      await pg.close();
    },
  };
}

/** Sends the newest of what it is given, one at a time: a role change does not wait for what is said about it. */
function latestOnly(send: (text: string) => Promise<unknown>) {
  let waiting: string | null = null;
  let sending = false;
  const next = async (): Promise<void> => {
    sending = true;
    while (waiting !== null) {
      const text = waiting;
      waiting = null;
      await send(text).catch(() => {});
    }
    sending = false;
  };
  return {
    publish(text: string): void {
      waiting = text;
      if (!sending) void next();
    },
  };
}

function serverUrls(config: NodeConfig, membership: Membership): string[] {
  const others = membership.consulServers
    .filter((host) => host !== membership.hostIp)
    .map((host) => `http://${host}:${config.consul.http_port}`);
  return [...new Set([...consulUrls(config), ...others])];
}
