/**
 * Drives the core's procedures against the real world: each yielded call goes to the port it names, its
 * answer goes back in. The only place where the core's generators meet promises.
 */

import type { Call, LockName, Ports, Procedure } from '../core/ports.ts';
import { sleep } from '../platform/clock.ts';

type Answer<F> = F extends (...args: infer A) => infer R ? (...args: A) => R | Promise<R> : never;
/** The ports as the real parts implement them. */
export type RealPorts = { [P in keyof Ports]: { [M in keyof Ports[P]]: Answer<Ports[P][M]> } };

type AnyMethod = (...args: unknown[]) => unknown;

/**
 * Runs a procedure to its end. Aborted, it is dropped between two calls (its `finally` blocks run) and
 * undefined is returned.
 */
export async function drive<T>(
  procedure: Procedure<T>,
  ports: RealPorts,
  signal?: AbortSignal,
): Promise<T | undefined> {
  let step = procedure.next();
  while (!step.done) {
    if (signal?.aborted) {
      procedure.return(undefined as T);
      return undefined;
    }
    const call: Call = step.value;
    let answer: unknown;
    try {
      const port = ports[call.port] as unknown as Record<string, AnyMethod>;
      answer = await port[call.method]?.(...(call.args as unknown[]));
    } catch (thrown) {
      step = procedure.throw(thrown);
      continue;
    }
    step = procedure.next(answer);
  }
  return step.value;
}

/** Keeps a process of the core running: one that throws is begun again after a moment, and said. */
export async function supervise(
  make: () => Procedure<void>,
  ports: RealPorts,
  signal: AbortSignal,
  failed: (thrown: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await drive(make(), ports, signal);
    } catch (thrown) {
      failed(thrown);
      await sleep(200);
    }
  }
}

/**
 * The named locks of one node. `unlock` is synchronous, so that a dropped procedure can free its own in
 * `finally`.
 */
export function createLocks() {
  const queues = new Map<LockName, (() => void)[]>();
  return {
    lock(name: LockName): Promise<void> | void {
      const queue = queues.get(name);
      if (queue === undefined) {
        queues.set(name, []);
        return;
      }
      return new Promise((granted) => queue.push(granted));
    },
    unlock(name: LockName): void {
      const next = queues.get(name)?.shift();
      if (next !== undefined) next();
      else queues.delete(name);
    },
  };
}

/** Sleeping that `wake` ends: for the main loop. A wake while nobody naps is kept for the next nap. */
export function createNap() {
  let woken = false;
  let resume: (() => void) | null = null;
  return {
    nap(ms: number): Promise<void> {
      if (woken) {
        woken = false;
        return Promise.resolve();
      }
      return new Promise((done) => {
        const finish = () => {
          clearTimeout(timer);
          resume = null;
          woken = false;
          done();
        };
        const timer = setTimeout(finish, ms);
        resume = finish;
      });
    },
    wake(): void {
      if (resume !== null) resume();
      else woken = true;
    },
  };
}
