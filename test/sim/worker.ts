/** One thread of the pool: runs the seeds it is sent. */
import { parentPort } from 'node:worker_threads';
import type { Job } from './pool.ts';
import { runSeed } from './run.ts';

parentPort?.on('message', ({ seeds, options }: Job) => {
  parentPort?.postMessage(seeds.map((seed) => runSeed({ ...options, seed })));
});
