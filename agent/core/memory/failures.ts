/**
 * What went wrong here, how often and since when: for leaving this node out, and for telling people. Written
 * here alone.
 */

export type Failures = {
  /**
   * How often it failed as active, one soon after the other: each time it is left out longer. None again once
   * it was well for long.
   */
  count: number;
  /** Until when this node, having failed as active, is no target of an automatic handover; own clock. */
  until: number;
  /** Starts in place of a died postmaster within the restart window, own clock. */
  restarts: readonly number[];
  /** When the last failed start in place began; null when none failed since it was last open. */
  startFailedAt: number | null;
  /**
   * What the last rule's action failed with, and since when it has been failing, own clock; null: it did not.
   * Gone when another rule is decided, or something was carried out.
   */
  last: Readonly<{ rule: number; why: string; since: number }> | null;
};

export const newFailures = (): Failures => ({
  count: 0,
  until: Number.NEGATIVE_INFINITY,
  restarts: [],
  startFailedAt: null,
  last: null,
});

/** Out for a while, each time for longer: a fault that every node has is not passed round. */
export function failAgain(failures: Failures, now: number, cooldown: number): void {
  failures.until = now + cooldown * 2 ** Math.min(failures.count, 6);
  failures.count += 1;
}

/** An active that has been well for many cooldowns has not failed one soon after the other. */
export function isWellForLong(failures: Failures): void {
  failures.count = 0;
}

export function countRestart(failures: Failures, at: number, window: number): void {
  failures.restarts = [...failures.restarts.filter((t) => at - t < window), at];
}

export function startFailed(failures: Failures, at: number): void {
  failures.startFailedAt = at;
}

export function isUpAgain(failures: Failures): void {
  failures.startFailedAt = null;
}

type Decided = { rule: number; reason: string };

/**
 * With the failure of its own last try, as long as no other rule was decided and nothing was carried out
 * since.
 */
export function withLastFailure<D extends Decided>(failures: Failures, decision: D): D {
  if (failures.last !== null && failures.last.rule !== decision.rule) failures.last = null;
  const why = failures.last?.why;
  return why === undefined ? decision : { ...decision, reason: `${decision.reason}; failed: ${why}` };
}

/** Said already, but for its numbers: what is tried every second is not logged every second. */
export function isNews({ last }: Readonly<Failures>, { rule }: Decided, why: string): boolean {
  const plain = (text: string) => text.replaceAll(/\d+/g, '#');
  return last?.rule !== rule || plain(last.why) !== plain(why);
}

/** After a tick that carried out, or tried to carry out, something. */
export function noteFailure(failures: Failures, { rule }: Decided, why: string | null, now: number): void {
  // Since when it fails without a break, whatever it says each time.
  const since = failures.last?.since ?? now;
  failures.last = why === null ? null : { rule, why, since };
}
