/** The real parts behind the core's ports. No decision here: each call is one thing done or read. */

import type { NodeConfig } from '../config/index.ts';
import type { ConsulClient } from '../consul/client.ts';
import type { Gate } from '../consul/gate.ts';
import type { ConsulKv } from '../consul/port.ts';
import { consulPort } from '../consul/view.ts';
import type { NodeContext } from '../core/node.ts';
import { NO_FILES } from '../core/ports.ts';
import type { Outcome } from '../core/postgres.ts';
import { standbyName } from '../core/records.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log/log.ts';
import type { Peers } from '../peers/peers.ts';
import { sleep } from '../platform/clock.ts';
import type { Fence } from '../roles/firewall/fence.ts';
import type { Postgres, Progress } from '../roles/postgres/port.ts';
import { runHooks } from '../roles/services/hooks.ts';
import type { ServiceRunner } from '../roles/services/runner.ts';
import type { durableStore } from '../state/identity.ts';
import type { createLocks, createNap, RealPorts } from './drive.ts';

export type RealParts = {
  config: NodeConfig;
  node: NodeContext;
  log: Log;
  pg: Postgres;
  services: ServiceRunner;
  fence: Fence;
  peers: Peers;
  consul: ConsulClient;
  /** A client of its own for the standing query, so that it never holds a renewal up. */
  watchConsul: ConsulClient;
  /** With the management token, for transactions that say who is a member. */
  memberKv: ConsulKv;
  /** Which records about members count. */
  gate: Gate;
  store: ReturnType<typeof durableStore>;
  locks: ReturnType<typeof createLocks>;
  nap: ReturnType<typeof createNap>;
  progress: Progress;
  /** The replicated files; left out: there are none. */
  files?: RealPorts['files'];
  /** Cancels a long task. */
  signal: AbortSignal;
};

const done = async (): Promise<Outcome> => ({ kind: 'done' });
const FILES_OFF: RealPorts['files'] = { facts: () => NO_FILES, lead: done, follow: done, settle: done };

export function realPorts(o: RealParts): RealPorts {
  const { config, node, log, pg, services, peers, consul, watchConsul, store, locks, nap } = o;
  const prefix = `${config.consul.prefix}/`;
  const publisher = latestOnly((text) =>
    consul.kv.put(`${prefix}state/${node.name}`, text, { deadlineMs: 1000 }),
  );
  const bad = (key: string, why: string) =>
    log
      .for('consul-watcher')
      .error(
        `${key} in Consul is not understood (${why}): written by a newer version? Upgrade this agent, or correct the value`,
      );
  const kv = consulPort(consul.kv, prefix, () => {}, o.memberKv, o.gate);
  const watch = consulPort(watchConsul.kv, prefix, bad, watchConsul.kv, o.gate);
  let copying: AbortController | null = null;
  const failed = (thrown: unknown): Outcome => ({
    kind: 'failed',
    why: messageOf(thrown),
  });

  return {
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
        const own = new AbortController();
        const signal = AbortSignal.any([own.signal, o.signal]);
        copying = own;
        try {
          const done =
            how === 'rewind' && config.postgres.rewind
              ? await pg.rewind(from, o.progress, signal)
              : await pg.basebackup(from, o.progress, signal);
          if (done.kind === 'done') await pg.setIdentity(standbyName({ node: node.name, clone }));
          return done;
        } catch (thrown) {
          return failed(thrown);
        }
      },
      cancelRebuild: () => {
        copying?.abort();
        return { kind: 'done' };
      },
      saveDivergence: async (epoch, fork, reason) => pg.saveDivergence({ epoch, fork, reason }).catch(failed),
    },
    fence: o.fence,
    services: {
      facts: () => services.facts(),
      up: () => services.up(),
      down: (ms) => services.down(ms),
      repair: (names) => services.repair(names),
    },
    files: o.files ?? FILES_OFF,
    hooks: { run: (phase, facts) => runHooks(config.paths.hooks_dir, phase, facts, config.hooks.timeout) },
    peers: {
      votes: (nodes, request, ms) => peers.votes(nodes, request, ms),
      state: (name, ms) => peers.state(name, ms),
      failsafe: (nodes, request, ms) => peers.failsafe(nodes, request, ms),
    },
    store: { save: (durable) => store.save(durable) },
    state: {
      publish: (state) => publisher.publish(JSON.stringify(state)),
    },
    time: {
      nap: (ms) => nap.nap(ms),
      // An agent that stops is not waited for while it sleeps: nobody renews the lease until the next one
      // does.
      sleep: (ms) => sleep(ms, o.signal).then(() => {}),
      lock: (name) => locks.lock(name),
    },
  };
}

/**
 * Sends the newest of what it is given, one at a time: a role change does not wait for what is said about it.
 */
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
