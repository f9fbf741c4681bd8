/** A world with agents that do nothing by themselves, for tests of the model. */
import { defaultPolicy } from '../../agent/core/policy.ts';
import { call, type Procedure, type VoteReply } from '../../agent/core/ports.ts';
import { hostOf } from './pg_facts.ts';
import type { Core, SimNode } from './sim_node.ts';
import { World, type WorldOptions } from './world.ts';

const idle: Core = (() => ({
  processes: {
    main: function* (): Procedure<void> {
      for (;;) yield* call('time', 'nap', 3_600_000);
    },
  },
  answerVote: function* (): Procedure<VoteReply> {
    yield* call('time', 'sleep', 1);
    return { kind: 'refused', why: 'idle' };
  },
})) as unknown as Core;

export function idleWorld(options: Partial<WorldOptions> = {}): World {
  const world = new World({
    seed: 1,
    nodes: 3,
    policy: defaultPolicy,
    core: idle,
    fence: 'hba',
    drift: 0,
    ...options,
  });
  world.root.end += 4096;
  for (const node of world.nodes) {
    node.server.flushed = world.root.end;
    node.startAgent([]);
  }
  return world;
}

export const nodeOf = (world: World, index: number): SimNode => world.nodes[index] as SimNode;

/** Run a procedure on a node's agent and the world until it ends; `undefined` when it has not within `ms`. */
export function does<T>(world: World, node: SimNode, procedure: Procedure<T>, ms = 60_000): T | undefined {
  let result: T | undefined;
  let done = false;
  node.agent?.run('test', procedure, (value) => {
    result = value;
    done = true;
  });
  const until = world.scheduler.now + ms;
  world.scheduler.runUntil(until, () => done);
  return result;
}

/** The first node a primary, the others streaming from it. */
export function replicating(options: Partial<WorldOptions> = {}): World {
  const world = idleWorld(options);
  const first = nodeOf(world, 0);
  // The model's checker judges the core, which is not at work here.
  Object.assign(world.checker, { fail: () => undefined });
  does(world, first, call('pg', 'startPrimary', 10_000));
  for (const node of world.nodes.slice(1)) {
    does(world, node, call('pg', 'setUpstream', upstream(first), 2000));
    does(world, node, call('pg', 'startStandby', 10_000));
  }
  world.run(world.scheduler.now + 10_000);
  return world;
}

export const upstream = (node: SimNode) => ({ node: node.name, host: hostOf(node.name), port: 5432 });

/** What an operation answered, as its `kind`. */
export const kindOf = (outcome: { kind: string } | undefined): string => outcome?.kind ?? 'no answer';
