/**
 * How clients are shut out. `hba`: PostgreSQL's own (the dev cluster): nothing closes it but the agent.
 * `kernel`: the firewall's entry has a timeout, so it closes by itself whatever became of the agent.
 */
import type { Agent, Handlers, Reply } from './agent.ts';
import { change } from './late_calls.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

export type FenceMode = 'hba' | 'kernel';

export class Fence {
  readonly mode: FenceMode;
  /** True time of the last attempt to close, for the order of fence and demote. */
  lastClose = Number.NEGATIVE_INFINITY;
  lastOpen = Number.NEGATIVE_INFINITY;
  opened = false;
  /** The kernel's helper does not answer: nothing is let in, and what is closes by itself. */
  stuck = false;
  private until = 0;
  private now: () => number;

  constructor(mode: FenceMode, now: () => number) {
    this.mode = mode;
    this.now = now;
  }

  isOpen(): boolean {
    return this.opened && (this.mode === 'hba' || this.now() < this.until);
  }

  close(): void {
    this.opened = false;
  }

  /** False when the deadline has passed already. */
  open(until: number): boolean {
    if (this.mode === 'kernel' && (this.stuck || this.now() >= until)) return false;
    this.opened = true;
    this.until = until;
    return true;
  }

  /** False when it could not be. */
  extend(until: number): boolean {
    if (this.mode === 'kernel' && this.stuck) return false;
    if (this.opened && until > this.until) this.until = until;
    return true;
  }

  /** A server always starts with the closed pg_hba; a firewall is not touched by that. */
  serverStarts(): void {
    if (this.mode === 'hba') this.opened = false;
  }
}

const DONE = { kind: 'done' };

export function fencePort(world: World, node: SimNode): Handlers<'fence'> {
  const { fence, server, machine } = node;
  const random = world.latency;
  return {
    close: (agent: Agent, reply: Reply, [ms]) => {
      fence.lastClose = world.scheduler.now;
      node.late.take('fence', null);
      agent.later(random.skewed(2, 25), () => {
        const shut = () => {
          fence.close();
          server.terminateClients();
          world.checker.closed(node);
          reply(DONE);
        };
        if (server.proc !== null && server.hung !== 'no' && fence.mode === 'hba') {
          // Neither a reload nor the end of a backend happens in a server that hangs.
          machine.laterOwn(ms, () =>
            agent.soon(() => (server.proc === null ? shut() : reply({ kind: 'failed', why: 'no answer' }))),
          );
        } else if (server.proc === null || fence.mode === 'kernel') shut();
        else agent.later(random.skewed(5, 90), shut);
      });
    },
    open: (agent: Agent, reply: Reply, [until, ms]) => {
      const asked = world.scheduler.now;
      world.checker.opening(node, agent);
      if (server.proc !== null && server.hung !== 'no' && fence.mode === 'hba') {
        machine.laterOwn(ms, () => agent.soon(() => reply({ kind: 'failed', why: 'no answer' })));
        return;
      }
      const claim = node.late.take('fence', ms);
      const write = () => {
        if (!fence.open(until)) return reply({ kind: 'failed', why: 'the deadline has passed' });
        fence.lastOpen = world.scheduler.now;
        world.opened(node, asked);
        reply(DONE);
      };
      const refused = (why: string) => reply({ kind: 'failed', why });
      if (fence.mode === 'hba' && node.late.heldFor(world.scheduler.now) > 0)
        machine.laterOwn(ms, () => agent.soon(() => refused('given up at its deadline')));
      const desk = { world, node, machine, now: () => world.scheduler.now };
      change(desk, agent, claim, fence.mode === 'hba', random.skewed(2, 40), write, refused);
    },
    extend: (agent: Agent, reply: Reply, [until]) => {
      const done = fence.extend(until);
      agent.later(done ? 0 : 300, () => reply(done ? DONE : { kind: 'failed', why: 'the helper is gone' }));
    },
  };
}
