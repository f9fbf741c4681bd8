/** Time, as everything that must be testable on virtual time gets it. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary zero. Never compared between processes. */
  now(): number;
  /** Wall clock: for people (logs, history), never for decisions. */
  wall(): Date;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => new Date(),
};

/** A clock that stands still until told otherwise; for tests. */
export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function manualClock(start = 0, wallStart = new Date('2026-01-01T00:00:00Z')): ManualClock {
  let elapsed = 0;
  return {
    now: () => start + elapsed,
    wall: () => new Date(wallStart.getTime() + elapsed),
    advance(ms) {
      if (ms < 0) throw new RangeError('a monotonic clock does not go back');
      elapsed += ms;
    },
  };
}

/** Resolves after `ms`, or at once when `signal` aborts: true if the time passed, false if it was cut short. */
export function sleep(ms: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return Promise.resolve(false);
  return new Promise((done) => {
    const finish = (full: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      done(full);
    };
    const onAbort = () => finish(false);
    const timer = setTimeout(() => finish(true), Math.max(0, ms));
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Asks `condition` every `every` ms until it gives something other than undefined or false, or `timeout` ms have passed
 * (undefined). The condition is asked at least once.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeout, every = 20, signal }: { timeout: number; every?: number; signal?: AbortSignal },
): Promise<Exclude<T, false | undefined> | undefined> {
  const end = performance.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value as Exclude<T, false | undefined>;
    const left = end - performance.now();
    if (left <= 0 || !(await sleep(Math.min(every, left), signal))) return undefined;
  }
}
