/**
 * Starts and stops in order. A stop makes every start that was asked for before it out of date, and is not
 * over while one of those may still bring a server up; a start that is asked for later waits until it is.
 */
import type { Outcome } from '../../core/postgres.ts';
import { type Deadline, within } from '../../platform/clock.ts';
import { createStops } from '../../platform/stops.ts';
import { failed } from './server.ts';

export interface Turn {
  /** A stop was asked for since. */
  stale(): boolean;
  /**
   * What changes the files for a server and starts it, until there is a process. Not begun when out of date.
   */
  launch(work: () => Promise<Outcome>): Promise<Outcome>;
}

export interface Turns {
  /**
   * One start at a time; `work` does not throw. `undo` follows a start that was overtaken, once the stops
   * that did so are over.
   */
  start(end: Deadline, work: (turn: Turn) => Promise<Outcome>, undo: () => Promise<void>): Promise<Outcome>;
  /**
   * Outdates the starts at once, and keeps later ones waiting until `work` is over. Stops go on beside each
   * other.
   */
  stop<T>(work: () => Promise<T>): Promise<T>;
  /** A start is between its first change and its process. */
  launching(): boolean;
  /** Whether none is any more, before the time is over. */
  launched(end: Deadline): Promise<boolean>;
}

export const OVERTAKEN = 'a stop was requested meanwhile';

export function createTurns(): Turns {
  const starts = new Set<Promise<unknown>>();
  const launches = new Set<Promise<unknown>>();
  const stops = createStops();

  const begin = async (
    stale: () => boolean,
    work: (turn: Turn) => Promise<Outcome>,
    undo: () => Promise<void>,
  ): Promise<Outcome> => {
    const launch = async (change: () => Promise<Outcome>) =>
      stale() ? failed(OVERTAKEN) : await kept(launches, change);
    const outcome = await work({ stale, launch });
    if (!stale()) return outcome;
    while (stops.underWay()) await stops.settled();
    await undo();
    return failed(OVERTAKEN);
  };

  return {
    async start(end, work, undo) {
      const stale = stops.asked();
      while (stops.underWay() || starts.size > 0) {
        if (!(await over([stops.settled(), ...starts], end)))
          return failed('a stop or another start is still under way');
        if (stale()) return failed(OVERTAKEN);
      }
      return await kept(starts, () => begin(stale, work, undo));
    },
    stop: (work) => stops.stop(work),
    launching: () => launches.size > 0,
    launched: (end) => over([...launches], end),
  };
}

async function kept<T>(all: Set<Promise<unknown>>, work: () => Promise<T>): Promise<T> {
  const running = work();
  all.add(running);
  try {
    return await running;
  } finally {
    all.delete(running);
  }
}

/** Whether all of them have ended, well or not, before the time is over. */
async function over(all: Promise<unknown>[], end: Deadline): Promise<boolean> {
  if (all.length === 0) return true;
  const ended = Promise.allSettled(all).then(() => true);
  return await within(end.left(), 'the others', ended).catch(() => false);
}
