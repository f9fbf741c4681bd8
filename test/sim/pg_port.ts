/**
 * The core's `pg` port on the modelled server. What the agent does itself in several steps stops between them
 * when the agent dies; what it has already asked of the server (a promotion, a stop) goes on.
 */
import type { Handlers } from './agent.ts';
import { segment } from './branch.ts';
import { type Desk, DONE, failed, local, within } from './pg_desk.ts';
import { facts, hungFacts, sendersOf } from './pg_facts.ts';
import { promote, start, stop } from './pg_lifecycle.ts';
import { rebuild } from './pg_rebuild.ts';
import { setSyncList, setUpstream } from './pg_replication.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export function pgPort(world: World, node: SimNode): Handlers<'pg'> {
  const { server, machine } = node;
  const random = world.latency;
  const now = () => world.scheduler.now;
  const desk: Desk = { world, node, server, machine, random, now };

  return {
    facts: (agent, reply, [ms]) => local(desk, agent, reply, ms, () => facts(node, now()), hungFacts(node)),
    position: (agent, reply, [ms]) => local(desk, agent, reply, ms, () => facts(node, now()).position, null),
    replication: (agent, reply, [ms]) =>
      local(
        desk,
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
      if (server.proc !== null) return void start(desk, agent, reply, ms, 'standby');
      agent.later(random.skewed(2, 20), () => {
        server.standbySignal = true;
        start(desk, agent, reply, ms, 'standby');
      });
    },
    startPrimary: (agent, reply, [ms]) => {
      world.checker.writableStart(node, agent);
      if (server.proc !== null) return void start(desk, agent, reply, ms, 'primary');
      agent.later(random.skewed(2, 20), () => {
        server.standbySignal = false;
        start(desk, agent, reply, ms, 'primary');
      });
    },
    stop: (agent, reply, [mode, ms, thenStandby]) => stop(desk, agent, reply, mode, ms, thenStandby),
    checkpoint: (agent, reply, [ms]) => {
      const once = within(desk, agent, reply, ms, failed('no answer in time'));
      if (server.proc === null) return void agent.later(2, () => once(failed('not running')));
      machine.later(random.skewed(5, 800), () => server.works && once(DONE));
    },
    promote: (agent, reply, [ms]) => promote(desk, agent, reply, ms),

    setUpstream: (agent, reply, [upstream, ms]) => setUpstream(desk, agent, reply, upstream, ms),
    setSyncList: (agent, reply, [list, ms]) => setSyncList(desk, agent, reply, list, ms),
    reserveTimelines: (agent, reply, [next]) =>
      agent.later(random.skewed(2, 15), () => {
        if (server.data !== 'ok') return void reply(failed('no data directory'));
        server.reserved = Math.max(server.reserved, next - 1);
        reply(DONE);
      }),
    ensureSlots: (agent, reply, [, ms]) => local(desk, agent, reply, ms, () => DONE, failed('no answer')),
    saveDivergence: (agent, reply) => agent.later(random.skewed(100, 3000), () => reply(DONE)),
    cancelRebuild: (agent, reply) =>
      agent.later(random.skewed(1, 20), () => {
        server.cancelCopy();
        reply(DONE);
      }),
    rebuild: (agent, reply, [how, from, clone]) => rebuild(desk, agent, reply, how, from, clone),
  };
}
