/** Services, hooks, durable memory, and the other agents. */
import type { VoteReply } from '../../agent/core/ports.ts';
import type { Agent, Handlers, Reply } from './agent.ts';
import { facts } from './pg_facts.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

const DONE = { kind: 'done' };
/** The last voter, mostly the former active, is waited for no longer than this. */
const STRAGGLER = 250;

export function servicesPort(world: World, node: SimNode): Handlers<'services'> {
  const random = world.latency;
  const { services } = node;
  let downs = 0;
  const change = (running: boolean) => {
    return (agent: Agent, reply: Reply, [ms]: [number]): unknown => {
      if (!running) downs += 1;
      const began = downs;
      const took =
        services.running === running && !services.broken ? random.range(1, 5) : random.skewed(80, 2500);
      if (took > ms) return void agent.later(ms, () => reply({ kind: 'failed', why: 'not in time' }));
      return void agent.later(took, () => {
        if (running && began !== downs) return reply({ kind: 'failed', why: 'a stop was asked for' });
        if (running && services.broken) return reply({ kind: 'failed', why: 'worker exited' });
        services.running = running;
        reply(DONE);
      });
    };
  };
  return {
    facts: (agent, reply) =>
      agent.later(random.skewed(0.3, 3), () => {
        const up = services.running && !services.broken;
        reply({ running: up ? ['worker'] : [], missing: up ? [] : ['worker'], missingAlways: [] });
      }),
    up: change(true),
    down: change(false),
    repair: (agent, reply, [, ms]) => change(true)(agent, reply, [ms]),
  };
}

export function hooksPort(world: World): Handlers<'hooks'> {
  return {
    run: (agent, reply) =>
      agent.later(world.latency.skewed(1, 60), () =>
        reply(world.latency.chance(0.02) ? { kind: 'failed', why: 'exit code 1' } : DONE),
      ),
  };
}

export function storePort(world: World, node: SimNode): Handlers<'store'> {
  return {
    save: (agent, reply, [durable]) => {
      const copy = { ...durable };
      agent.later(world.latency.skewed(0.5, 15), () => {
        node.durable = copy;
        reply(undefined);
      });
    },
  };
}

export function peersPort(world: World, node: SimNode): Handlers<'peers'> {
  const { network, scheduler } = world;
  const here = node.machine.index;

  /**
   * Send to `name`, let `serve` answer there, and bring the answer back; nothing comes when any leg is
   * broken.
   */
  function ask(
    name: string,
    serve: (target: SimNode, answer: (value: unknown) => void) => void,
    got: (value: unknown) => void,
  ): void {
    const target = world.nodes.find((n) => n.name === name);
    if (target === undefined) return;
    const there = target.machine.index;
    const boot = node.machine.boot;
    scheduler.after(network.delay(here, there), () => {
      if (!network.both(here, there) || !target.machine.on) return;
      target.machine.soon(() => {
        const agent = target.agent;
        if (agent === null) return;
        agent.soon(() =>
          serve(target, (value) => {
            scheduler.after(network.delay(there, here), () => {
              if (network.both(here, there) && node.machine.boot === boot)
                node.machine.soon(() => got(value));
            });
          }),
        );
      });
    });
  }

  return {
    votes: (agent, reply, [nodes, request, ms]) => {
      const replies: Record<string, VoteReply> = {};
      for (const name of nodes) replies[name] = { kind: 'unknown' };
      let missing = nodes.length;
      let answered = false;
      const end = () => {
        if (answered) return;
        answered = true;
        agent.soon(() => reply(replies));
      };
      if (missing === 0) return void agent.later(1, end);
      node.machine.laterOwn(ms, end);
      for (const name of nodes) {
        ask(
          name,
          (target, answer) => target.answerVote(request, answer),
          (value) => {
            if (answered) return;
            replies[name] = value as VoteReply;
            missing -= 1;
            if (missing === 0) end();
            else if (missing === 1) node.machine.laterOwn(STRAGGLER, end);
          },
        );
      }
    },
    failsafe: (agent, reply, [nodes, request, ms]) => {
      const agreed: string[] = [];
      let missing = nodes.length;
      let answered = false;
      const end = () => {
        if (answered) return;
        answered = true;
        agent.soon(() => reply([...agreed]));
      };
      node.machine.laterOwn(ms, end);
      for (const name of nodes) {
        ask(
          name,
          (target, answer) => target.answerFailsafe(request, answer),
          (value) => {
            if (value === true) agreed.push(name);
            missing -= 1;
            if (missing === 0) end();
          },
        );
      }
    },
    state: (agent, reply, [name, ms]) => {
      let answered = false;
      const once = (value: unknown) => {
        if (answered) return;
        answered = true;
        agent.soon(() => reply(value));
      };
      node.machine.laterOwn(ms, () => once(null));
      ask(
        name,
        (target, answer) => {
          const at = target.server.hung === 'no' ? facts(target, scheduler.now) : null;
          if (at === null || at.position === null) answer(null);
          else
            answer({
              replayed: at.position.replayed,
              timeline: at.position.timeline,
              streaming: at.streaming,
            });
        },
        once,
      );
    },
  };
}
