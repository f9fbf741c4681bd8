/**
 * The core's `consul` and `state` ports: requests that get lost, answers that get lost, writes that arrive
 * seconds after the caller was told nothing, stale reads, and a cluster without a leader.
 */
import type { TxnOp } from '../../agent/core/ports.ts';
import type { Agent, Handlers, Reply } from './agent.ts';
import type { SimNode } from './sim_node.ts';
import type { World } from './world.ts';

/** Probabilities for one node's requests while its connection is bad. */
export type Trouble = {
  drop: number;
  lose: number;
  late: number;
  lateBy: number;
  stale: number;
  delay: number;
};
export const NO_TROUBLE: Trouble = { drop: 0, lose: 0, late: 0, lateBy: 8000, stale: 0, delay: 0 };

const UNKNOWN = { kind: 'unknown' };

export function consulPort(world: World, node: SimNode): Handlers<'consul'> {
  const { machine } = node;
  const { scheduler, store, raft, latency: random } = world;
  const here = machine.index;

  function hop(): number {
    return random.skewed(0.5, 8) + node.trouble.delay * random.next() + (world.network.slow[here] as number);
  }

  /** A reply that travels back to this node, unless the way is broken then. */
  function back(agent: Agent, reply: Reply, answer: () => unknown): void {
    scheduler.after(hop(), () => {
      if (raft.serves(here)) machine.soon(() => agent.soon(() => reply(answer())));
    });
  }

  function deadline(agent: Agent, reply: Reply, ms: number, late: unknown): Reply {
    let answered = false;
    const once: Reply = (answer) => {
      if (answered) return;
      answered = true;
      timer.run = null;
      reply(answer);
    };
    const timer = machine.laterOwn(ms, () => answered || agent.soon(() => once(late)));
    return once;
  }

  function seen() {
    const whole = random.chance(node.trouble.stale)
      ? store.stale(scheduler.now, random.range(0, 6000))
      : store.view;
    return world.badRecords.seenBy(node, whole);
  }

  function refused(agent: Agent, once: Reply, answer: unknown): void {
    // No leader, or no way to one: some servers say so at once, others hold the request (PROTOCOL B.4).
    if (random.chance(0.4)) machine.later(random.range(2, 400), () => agent.soon(() => once(answer)));
  }

  function txn(agent: Agent, reply: Reply, ops: TxnOp[], ms: number): void {
    const once = deadline(agent, reply, ms, UNKNOWN);
    const { drop, lose, late, lateBy } = node.trouble;
    if (random.chance(drop)) return;
    if (random.chance(late)) {
      scheduler.after(
        ms + random.next() * random.next() * lateBy,
        () => raft.leader !== null && store.txn(ops, scheduler.now, node.name),
      );
      return;
    }
    scheduler.after(hop(), () => {
      if (!raft.serves(here)) {
        if (raft.leader === null && random.chance(0.3)) {
          scheduler.after(
            random.range(300, 7000),
            () => raft.serves(here) && store.txn(ops, scheduler.now, node.name),
          );
          return;
        }
        return refused(agent, once, UNKNOWN);
      }
      const result = store.txn(ops, scheduler.now, node.name);
      if (!random.chance(lose)) back(agent, once, () => result);
    });
  }

  return {
    txn: (agent, reply, [ops, ms]) => txn(agent, reply, ops, ms),
    read: (agent, reply, [ms]) => {
      const once = deadline(agent, reply, ms, 'unknown');
      if (random.chance(node.trouble.drop)) return;
      scheduler.after(hop(), () => {
        if (!raft.serves(here)) return refused(agent, once, 'unknown');
        const view = seen();
        if (!random.chance(node.trouble.lose)) back(agent, once, () => view);
      });
    },
    watch: (agent, reply, [index, ms]) => {
      const boot = machine.boot;
      let answered = false;
      const end = (answer: () => unknown) => {
        if (answered) return;
        answered = true;
        timer.run = null;
        world.watchers.delete(waiter);
        scheduler.after(hop(), () => {
          if (machine.boot === boot) machine.soon(() => agent.soon(() => reply(answer())));
        });
      };
      const waiter = {
        node: here,
        changed: () => {
          if (store.view.index > index && raft.serves(here)) {
            const view = seen();
            end(() => view);
          }
        },
        unserved: () => random.chance(0.4) && end(() => 'unknown'),
      };
      world.watchers.add(waiter);
      const dropped = random.chance(node.trouble.drop);
      if (dropped) world.watchers.delete(waiter);
      else scheduler.after(hop(), waiter.changed);
      const timer = machine.laterOwn(ms, () => {
        const heard = !dropped && raft.serves(here) && !random.chance(node.trouble.lose);
        const view = heard ? seen() : ('unknown' as const);
        end(() => view);
      });
    },
  };
}

/** `state/NAME` is written without waiting for anybody. */
export function statePort(world: World, node: SimNode): Handlers<'state'> {
  const consul = consulPort(world, node);
  return {
    publish: (agent, reply, [state, ms]) => {
      consul.txn(agent, () => reply(undefined), [
        [{ verb: 'set', key: `state/${node.name}`, value: state }],
        ms,
      ]);
    },
  };
}
