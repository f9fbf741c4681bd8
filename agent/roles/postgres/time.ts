/** Deadlines on the monotonic clock. */
import { sleep } from '../../platform/clock.ts';

export class Timeout extends Error {
  override name = 'Timeout';
}

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

/** `work`, or a Timeout naming `what` after `ms`. The work itself goes on: the caller drops what it hangs on. */
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

/** Ask `probe` again every `every` ms until it gives something other than null; null when the time is over. */
export async function poll<T>(
  end: Deadline,
  every: number,
  probe: () => Promise<T | null>,
): Promise<T | null> {
  for (;;) {
    const found = await probe();
    if (found !== null) return found;
    if (end.over()) return null;
    await sleep(Math.min(every, end.left()));
  }
}
