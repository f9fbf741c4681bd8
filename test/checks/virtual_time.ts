/** A clock and timers that stand still until a test lets time pass. */

import type { Timers } from '../../agent/checks/timers.ts';
import { manualClock } from '../fixtures/clock.ts';

export function virtualTime() {
  const clock = manualClock();
  const due = new Map<object, { at: number; callback: () => void }>();
  const timers: Timers = {
    after(ms, callback) {
      const key = {};
      due.set(key, { at: clock.now() + Math.max(0, ms), callback });
      return () => due.delete(key);
    },
  };
  return {
    clock,
    timers,
    pending: () => due.size,
    /** Lets `ms` pass: timers in their order, and after each whatever promises follow from it. */
    async pass(ms: number): Promise<void> {
      const end = clock.now() + ms;
      await settled();
      for (;;) {
        const next = [...due].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
        if (next === undefined) break;
        const [key, { at, callback }] = next;
        due.delete(key);
        clock.advance(Math.max(0, at - clock.now()));
        callback();
        await settled();
      }
      clock.advance(end - clock.now());
    },
    /** Time passes while nothing can run: the process is stopped. */
    freeze: (ms: number) => clock.advance(ms),
  };
}

/** Promise chains of the code under test are short. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}
