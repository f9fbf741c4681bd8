/** From a deadline to what ipset can be told, in whole seconds (PROTOCOL C.1). Seconds throughout. Pure. */

/**
 * Timeout of an entry that must be gone at `deadline`; 0: there must be none. Rounded down: ipset refuses
 * fractions, and takes 0 for "for ever".
 */
export function timeoutFor(deadline: number, now: number): number {
  const left = Math.floor(deadline - now);
  return Number.isFinite(left) && left >= 1 ? left : 0;
}

/** How much before a whole second an entry is set again: a timer may be late, but must not be too late. */
const EARLY = 0.02;
/** An entry is never set again closer to its end than this, if there is another choice. */
const MARGIN = 0.2;

/**
 * Rounding down closes up to a second too soon. So an entry whose lease is not renewed is set once more, a
 * whole number of seconds before the deadline: it then ends just before it. When to do so, for an entry that
 * ends at `ends`; undefined: it ends near enough to the deadline. Without a helper to do it, what was rounded
 * down holds.
 */
export function setAgainAt(deadline: number, ends: number, now: number): number | undefined {
  if (deadline - ends < EARLY * 2) return undefined;
  const at = (seconds: number) => deadline - seconds - EARLY;
  let seconds = 1;
  while (at(seconds) > ends - MARGIN && at(seconds + 1) > now) seconds += 1;
  return at(seconds) > now && at(seconds) < ends ? at(seconds) : undefined;
}
