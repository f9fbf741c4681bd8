import { sleep } from '../../platform/clock.ts';

/** Milliseconds: most units start and stop in a few, and each question costs a process. */
const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 100;

/** Asks often at first, then every 0.1 s, until it gets something other than undefined or false; undefined after `limit` ms. */
export async function polled<T>(
  limit: number,
  ask: () => Promise<T | undefined | false>,
): Promise<T | undefined> {
  const end = performance.now() + limit;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    const left = end - performance.now();
    if (left <= 0) return undefined;
    await sleep(Math.min(pause, left));
  }
}
