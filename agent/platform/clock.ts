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

/** Waiting, for what is tested on virtual time. */
export type Time = Pick<Clock, 'now'> & { sleep(ms: number, signal?: AbortSignal): Promise<unknown> };

/**
 * Resolves after `ms`, or at once when `signal` aborts: true if the time passed, false if it was cut short.
 */
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

export const systemTime: Time = { now: systemClock.now, sleep };

/** How long a piece of work may take, all its steps together. */
export type Deadline = {
  /** Milliseconds left, never below 0. */
  left(): number;
  over(): boolean;
};

export function deadline(ms: number): Deadline {
  const end = performance.now() + ms;
  return {
    left: () => Math.max(0, end - performance.now()),
    over: () => performance.now() >= end,
  };
}

export class Timeout extends Error {
  override name = 'Timeout';
}

/**
 * `work`, or a Timeout naming `what` after `ms`. The work itself goes on: the caller drops what it hangs on.
 */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Timeout(`${what}: no answer in ${Math.round(ms)} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

type NotYet = false | null | undefined;

export type Patience = {
  /** Milliseconds, or what is left of a deadline. */
  timeout: number | Deadline;
  /** Milliseconds between two questions. */
  every?: number;
  /** Each pause is twice the one before, up to this many ms. Left out: all are the same. */
  longest?: number;
  signal?: AbortSignal;
};

/**
 * Asks `condition` every `every` ms until it gives something other than undefined, null or false; undefined
 * when the time is over or `signal` aborts. The condition is asked at least once.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeout, every = 20, longest = every, signal }: Patience,
): Promise<Exclude<T, NotYet> | undefined> {
  const end = typeof timeout === 'number' ? deadline(timeout) : timeout;
  for (let pause = every; ; pause = Math.min(pause * 2, longest)) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) return value as Exclude<T, NotYet>;
    if (end.over() || !(await sleep(Math.min(pause, end.left()), signal))) return undefined;
  }
}
