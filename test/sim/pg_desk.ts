/**
 * What every operation of the modelled `pg` port needs: whose server, and answers that come late or at the
 * deadline.
 */
import type { Outcome } from '../../agent/core/postgres.ts';
import type { Agent, Reply } from './agent.ts';
import type { Machine } from './machine.ts';
import type { Random } from './random.ts';
import type { Server } from './server.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export type Desk = {
  world: World;
  node: SimNode;
  server: Server;
  machine: Machine;
  random: Random;
  now(): number;
};

export const DONE: Outcome = { kind: 'done' };
export const failed = (why: string): Outcome => ({ kind: 'failed', why });

/** Answer after a local latency, unless the server hangs: then at the deadline. */
export function local(
  desk: Desk,
  agent: Agent,
  reply: Reply,
  ms: number,
  answer: () => unknown,
  late: unknown,
): void {
  const { server, machine, random } = desk;
  if (server.hung !== 'no' && server.proc !== null) {
    machine.laterOwn(ms, () => agent.soon(() => reply(late)));
    return;
  }
  agent.later(random.skewed(0.5, 6), () => reply(answer()));
}

/** Something that takes a while, answered at the deadline at the latest; returns the guarded reply. */
export function within(desk: Desk, agent: Agent, reply: Reply, ms: number, late: unknown): Reply {
  let answered = false;
  const once: Reply = (answer) => {
    if (answered) return;
    answered = true;
    timer.run = null;
    agent.soon(() => reply(answer));
  };
  const timer = desk.machine.laterOwn(ms, () => once(late));
  return once;
}
