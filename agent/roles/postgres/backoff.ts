/**
 * A server that ends while it starts is not started again at once, over and over: what is wrong with it stays
 * wrong for a while.
 */

export interface Backoff {
  /** Its last complaint, when it is too early for another try; else null. */
  early(role: string): string | null;
  failed(role: string, why: string): void;
  /** It started, or its data is another now. */
  clear(): void;
}

/**
 * Milliseconds before the next try, by the tries that failed: the second comes at once, as a chance fault is
 * often gone by then.
 */
const PAUSES = [0, 0, 1000, 2000, 4000, 8000];
const LONGEST = 10_000;

export function createBackoff(now: () => number = () => performance.now()): Backoff {
  const tries = new Map<string, { count: number; until: number; why: string }>();
  return {
    early(role) {
      const last = tries.get(role);
      if (last === undefined || last.until <= now()) return null;
      return `${last.why} (tried ${last.count} times; again in ${Math.ceil((last.until - now()) / 1000)} s)`;
    },
    failed(role, why) {
      const count = (tries.get(role)?.count ?? 0) + 1;
      tries.set(role, { count, why, until: now() + (PAUSES[count] ?? LONGEST) });
    },
    clear: () => tries.clear(),
  };
}
