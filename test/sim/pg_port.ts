/**
 * The core's `pg` port on the modelled server. What the agent does itself in several steps stops between them when the
 * agent dies; what it has already asked of the server (a promotion, a stop) goes on.
 */
import type { Outcome, PgFacts, StopOutcome, SyncList, Upstream } from '../../agent/core/postgres.ts';
import type { Agent, Handlers, Reply } from './agent.ts';
import { RECORD, segment } from './branch.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

const DONE: Outcome = { kind: 'done' };
const failed = (why: string): Outcome => ({ kind: 'failed', why });

export function pgPort(world: World, node: SimNode): Handlers<'pg'> {
  const { server, machine } = node;
  const random = world.latency;
  const now = () => world.scheduler.now;

  /** Answer after a local latency, unless the server hangs: then at the deadline. */
  function local(agent: Agent, reply: Reply, ms: number, answer: () => unknown, late: unknown): void {
    if (server.hung !== 'no' && server.proc !== null) {
      machine.laterOwn(ms, () => agent.soon(() => reply(late)));
      return;
    }
    agent.later(random.skewed(0.5, 6), () => reply(answer()));
  }

  /** Something that takes `took`, answered at the deadline at the latest; returns the guarded reply. */
  function within(agent: Agent, reply: Reply, ms: number, late: unknown): Reply {
    let answered = false;
    const once: Reply = (answer) => {
      if (answered) return;
      answered = true;
      timer.run = null;
      agent.soon(() => reply(answer));
    };
    const timer = machine.laterOwn(ms, () => once(late));
    return once;
  }

  return {
    facts: (agent, reply, [ms]) => local(agent, reply, ms, () => facts(node, now()), hungFacts(node)),
    position: (agent, reply, [ms]) => local(agent, reply, ms, () => facts(node, now()).position, null),
    replication: (agent, reply, [ms]) =>
      local(
        agent,
        reply,
        ms,
        () => {
          if (!server.writable) return null;
          return {
            insert: BigInt(server.flushed),
            timeline: server.branch.tli,
            senders: sendersOf(node, now()),
          };
        },
        null,
      ),
    history: (agent, reply, [tli]) =>
      agent.later(random.skewed(0.2, 3), () => {
        const part = segment(server.branch, server.flushed, tli);
        reply(part === null || server.data !== 'ok' ? null : part.branch.history);
      }),

    startStandby: (agent, reply, [ms]) => {
      if (server.proc !== null) return void start(agent, reply, ms, 'standby');
      agent.later(random.skewed(2, 20), () => {
        server.standbySignal = true;
        start(agent, reply, ms, 'standby');
      });
    },
    startPrimary: (agent, reply, [ms]) => {
      world.checker.writableStart(node, agent);
      if (server.proc !== null) return void start(agent, reply, ms, 'primary');
      agent.later(random.skewed(2, 20), () => {
        server.standbySignal = false;
        start(agent, reply, ms, 'primary');
      });
    },
    stop: (agent, reply, [mode, ms, thenStandby]) => stop(agent, reply, mode, ms, thenStandby),
    checkpoint: (agent, reply, [ms]) => {
      const once = within(agent, reply, ms, failed('no answer in time'));
      if (server.proc === null) return void agent.later(2, () => once(failed('not running')));
      machine.later(random.skewed(5, 800), () => server.works && once(DONE));
    },
    promote: (agent, reply, [ms]) => {
      world.checker.promote(node, agent);
      const once = within(agent, reply, ms, failed('not promoted in time'));
      const proc = server.proc;
      if (proc === null || !proc.accepting || server.hung !== 'no')
        return void agent.later(3, () => once(failed('not running')));
      if (proc.role === 'primary')
        return void agent.later(3, () => once(failed('recovery is not in progress')));
      if (proc.promoting) return;
      proc.promoting = true;
      const wait = Math.max(0, proc.holdUntil - now());
      machine.later(random.skewed(40, 900) + wait, () => {
        if (server.proc !== proc) return void once(failed('the server died'));
        server.becomePrimary();
        world.checker.promoted(node, agent);
        once({ kind: 'done', timeline: server.branch.tli });
      });
    },

    setUpstream: (agent, reply, [upstream, ms]) => setUpstream(agent, reply, upstream, ms),
    setSyncList: (agent, reply, [list, ms]) => setSyncList(agent, reply, list, ms),
    reserveTimelines: (agent, reply, [next]) =>
      agent.later(random.skewed(2, 15), () => {
        if (server.data !== 'ok') return void reply(failed('no data directory'));
        server.reserved = Math.max(server.reserved, next - 1);
        reply(DONE);
      }),
    ensureSlots: (agent, reply, [, ms]) => local(agent, reply, ms, () => DONE, failed('no answer')),
    saveDivergence: (agent, reply) => agent.later(random.skewed(100, 3000), () => reply(DONE)),
    rebuild: (agent, reply, [how, from, clone]) => rebuild(agent, reply, how, from, clone),
  };

  function start(agent: Agent, reply: Reply, ms: number, role: 'primary' | 'standby'): void {
    const once = within(agent, reply, ms, failed('no connection in time'));
    const proc = server.proc;
    if (proc !== null) {
      if (proc.role !== role) return void agent.later(2, () => once(failed(`runs as a ${proc.role}`)));
      const wait = () => {
        if (server.proc !== proc) once(failed('the server died'));
        else if (proc.accepting && server.hung === 'no') once(DONE);
        else agent.later(20, wait);
      };
      wait();
      return;
    }
    if (server.data !== 'ok' || server.rebuilding)
      return void agent.later(5, () => once(failed('no usable data directory')));
    if (server.unstartable)
      return void agent.later(random.range(20, 200), () => once(failed('exited at once')));
    node.fence.serverStarts();
    const recovery = random.skewed(60, world.random.chance(0.02) ? 8000 : 600);
    server.start(role, recovery, random.skewed(5, 2500), now(), () => once(DONE));
  }

  function stop(
    agent: Agent,
    reply: Reply,
    mode: 'fast' | 'immediate',
    ms: number,
    thenStandby: boolean,
  ): void {
    world.checker.stopping(node, agent);
    const proc = server.proc;
    let answered = false;
    const ended = (clean: boolean, checkpoint: bigint | null) => {
      if (answered) return;
      answered = true;
      const answer: StopOutcome = { kind: 'stopped', clean, checkpoint, timeline: server.branch.tli };
      agent.later(random.skewed(1, 10), () => {
        if (thenStandby && server.data === 'ok') server.standbySignal = true;
        reply(answer);
      });
    };
    if (proc === null) {
      ended(false, null);
      return;
    }
    machine.laterOwn(ms, () => {
      if (server.proc !== proc) return ended(false, null);
      if (server.hung === 'storage') {
        // Processes in uninterruptible sleep are killed when they wake from it.
        proc.doomed = true;
        answered = true;
        return agent.soon(() => reply({ kind: 'failed', why: 'processes do not go away' }));
      }
      agent.soon(() => {
        if (server.proc === proc) server.die('killed after the stop deadline');
        ended(false, null);
      });
    });
    const runs = () => {
      if (server.proc !== proc) ended(false, null);
      return server.proc === proc && server.hung === 'no';
    };
    if (server.hung !== 'no') return;
    if (mode === 'immediate') {
      machine.later(random.skewed(5, 120), () => {
        if (!runs()) return;
        server.die('immediate stop');
        ended(false, null);
      });
      return;
    }
    // Clean: clients are terminated, the shutdown checkpoint goes out to every walsender that is still there.
    machine.later(random.skewed(5, 60), () => {
      if (!runs()) return;
      server.terminateClients();
      proc.accepting = false;
      if (proc.role === 'standby') {
        server.die('stopped');
        return ended(true, null);
      }
      const checkpoint = server.flushed;
      server.append(RECORD);
      const end = server.flushed;
      const drain = () => {
        if (!runs()) return;
        if (proc.senders.some((l) => l.flush === null || l.flush < end)) {
          machine.later(5, drain);
          return;
        }
        server.die('clean stop');
        ended(true, BigInt(checkpoint));
      };
      machine.later(5, drain);
    });
  }

  function setUpstream(agent: Agent, reply: Reply, upstream: Upstream | null, ms: number): void {
    const once = within(agent, reply, ms, failed('no answer in time'));
    agent.later(random.skewed(1, 12), () => {
      const changed = server.upstream !== (upstream?.node ?? null);
      server.upstream = upstream?.node ?? null;
      const proc = server.proc;
      if (proc === null || proc.role === 'primary') return void once(DONE);
      agent.later(random.skewed(1, 10), () => {
        if (server.hung !== 'no') return;
        machine.later(upstream === null ? random.skewed(5, 600) : random.skewed(5, 40), () => {
          if (server.proc === proc && changed) proc.receiver?.dropAtReceiver();
          if (server.proc === proc && server.upstream === null) proc.receiver?.dropAtReceiver();
          if (server.proc === proc && server.upstream !== null) world.connector.ready(server);
          once(DONE);
        });
      });
    });
  }

  function setSyncList(agent: Agent, reply: Reply, list: SyncList, ms: number): void {
    const once = within(agent, reply, ms, failed('not effective in time'));
    agent.later(random.skewed(1, 15), () => {
      server.list = list;
      const proc = server.proc;
      if (proc === null || proc.role === 'standby') return void once(DONE);
      agent.later(random.skewed(1, 10), () => {
        if (server.proc !== proc) return void once(failed('the server died'));
        if (server.hung !== 'no') return;
        // Reloaded: from now on some backends go by the new list and some by the one before.
        proc.old = { list: proc.list };
        proc.list = list;
        machine.later(1, () => server.proc === proc && server.release());
        const effective = random.skewed(10, 200);
        const done = () => {
          if (server.proc !== proc) return void once(failed('the server died'));
          if (server.hung !== 'no') return;
          for (const link of [...proc.senders]) link.dropAtSender();
          proc.old = null;
          once(DONE);
          server.release();
        };
        agent.later(effective, done);
      });
    });
  }

  function rebuild(
    agent: Agent,
    reply: Reply,
    how: 'rewind' | 'reclone',
    from: Upstream,
    clone: string,
  ): void {
    const source = world.nodes.find((n) => n.name === from.node)?.server;
    if (server.proc !== null || server.rebuilding)
      return void agent.later(2, () => reply(failed('the server runs')));
    world.checker.wiping(node, clone);
    server.identity = `${node.name}_${clone}`;
    server.rebuilding = true;
    // A copy made beside the old directory leaves it alone until the end; a rewind does not.
    if (how === 'rewind' || world.random.chance(0.5)) server.data = 'broken';
    const boot = machine.boot;
    const took = how === 'rewind' ? random.range(300, 4000) : random.range(1500, 15000);
    const ended = () => {
      if (machine.boot !== boot || !agent.alive) return;
      server.rebuilding = false;
      const reachable =
        source?.works === true &&
        source.proc?.accepting === true &&
        world.network.both(machine.index, source.machine.index);
      if (!reachable || world.random.chance(world.flaky ? 0.1 : 0))
        return void reply(failed('the source went away'));
      // pg_rewind sees one timeline number on both sides as nothing to do (PROTOCOL E.1).
      if (how === 'rewind' && source.branch.tli === server.branch.tli) {
        server.data = 'ok';
        return void reply(DONE);
      }
      server.data = 'ok';
      server.branch = source.branch;
      server.flushed = source.flushed;
      server.reserved = Math.max(source.reserved, source.branch.tli);
      server.standbySignal = true;
      server.systemId = source.systemId;
      world.note(node.name, `${how} from ${from.node} ended`);
      reply(DONE);
    };
    machine.later(took, () => agent.soon(ended));
  }
}

export function facts(node: SimNode, now: number): PgFacts {
  const { server } = node;
  const proc = server.proc;
  const accepting = proc?.accepting ?? false;
  return {
    data: server.data,
    process: proc === null ? 'stopped' : 'running',
    accepting,
    role: proc === null || !accepting ? 'unknown' : proc.role,
    standbySignal: server.standbySignal,
    systemId: server.data === 'ok' ? server.systemId : null,
    position: position(node, now),
    streaming: proc?.receiver?.streaming ?? false,
    upstreamHost: server.upstream === null ? null : hostOf(server.upstream),
    syncList: server.list,
    walSenders: proc === null || !accepting ? [] : sendersOf(node, now),
    fenced: proc === null ? true : !node.fence.isOpen(),
  };
}

export function hostOf(name: string): string {
  return `host-${name}`;
}

function position(node: SimNode, now: number): PgFacts['position'] {
  const { server } = node;
  const proc = server.proc;
  if (proc === null || !proc.accepting) return null;
  const timeline = server.branch.tli;
  if (!proc.settled) {
    // Replay has begun at the last checkpoint: what is reported is too low (PROTOCOL D.2).
    const low = BigInt(Math.max(server.flushed - 40_000, 0));
    return { timeline, lsn: low, replayed: low, settled: false };
  }
  const replayed = server.replayed(now);
  return { timeline, lsn: BigInt(server.flushed), replayed: BigInt(replayed), settled: true };
}

function hungFacts(node: SimNode): PgFacts {
  return {
    ...facts(node, 0),
    process: 'running',
    accepting: false,
    role: 'unknown',
    position: null,
    walSenders: [],
    fenced: 'unknown',
  };
}

function sendersOf(node: SimNode, now: number): PgFacts['walSenders'] {
  return (node.server.proc?.senders ?? []).map((link) => {
    const flush = link.flush;
    const replay = flush === null ? null : Math.min(flush, link.down.replayed(now));
    return {
      name: link.name,
      state: 'streaming',
      flush: flush === null ? null : BigInt(flush),
      replay: replay === null ? null : BigInt(replay),
    };
  });
}
