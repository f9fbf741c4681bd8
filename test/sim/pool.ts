/**
 * Many seeds on several threads. Results come in any order; each seed's own run does not depend on the
 * others.
 */
import { Worker } from 'node:worker_threads';
import type { RunOptions, RunResult } from './run.ts';

/** What can be handed to another thread. */
export type PoolOptions = Pick<RunOptions, 'nodes' | 'minutes' | 'theme' | 'policy'>;
export type Job = { seeds: number[]; options: PoolOptions };

const BATCH = 10;

export async function runSeeds(
  first: number,
  count: number,
  options: PoolOptions,
  jobs: number,
  onResult: (result: RunResult) => void,
): Promise<void> {
  let next = first;
  const take = (): number[] => {
    const size = Math.min(BATCH, first + count - next);
    next += size;
    return Array.from({ length: size }, (_, i) => next - size + i);
  };
  await Promise.all(Array.from({ length: Math.max(1, jobs) }, () => worker(take, options, onResult)));
}

function worker(
  take: () => number[],
  options: PoolOptions,
  onResult: (result: RunResult) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./worker.ts', import.meta.url));
    const feed = () => {
      const seeds = take();
      if (seeds.length === 0) void thread.terminate().then(() => resolve());
      else thread.postMessage({ seeds, options } satisfies Job);
    };
    thread.on('error', reject);
    thread.on('message', (results: RunResult[]) => {
      for (const result of results) onResult(result);
      feed();
    });
    feed();
  });
}
