/** The real decision core, as an agent runs it. */
import { processes } from '../../agent/core/processes.ts';
import type { Core } from './sim_node.ts';

export function coreFrom(make: typeof processes): Core {
  return (context, hooks) => {
    const { watcher, keeper, guard, main, hookRunner, answerVote, answerFailsafe } = make(context, {
      newClone: hooks.newClone,
      spawn: hooks.spawn,
      decided: (decision) => hooks.decided(decision.rule),
    });
    return {
      processes: { watcher, keeper, guard, main, hookRunner },
      answerVote,
      answerFailsafe,
    } as unknown as ReturnType<Core>;
  };
}

export const realCore = coreFrom(processes);
