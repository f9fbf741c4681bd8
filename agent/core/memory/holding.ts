/** How this node holds the lease, beside what the lease itself says. Written here alone. */

export type Holding = {
  /**
   * The keeper renews only while this is true (PROTOCOL D.9: a holder that cannot open stops renewing). Ended
   * by a stop that was not confirmed, or by a twin; true again when the lease is taken or accepted.
   */
  renewing: boolean;
  /**
   * Our right was seen to be another's now, not given away: the guard fences, whatever main is waiting for.
   * Set where an answer of Consul says so; cleared by the guard as it begins to fence.
   */
  deposed: boolean;
  /**
   * An unknown write of a voter change: nothing is loosened until a renewal succeeded (PROTOCOL D.9). Set by
   * a transaction whose outcome stayed unknown; cleared by the next write that is known to have been
   * committed.
   */
  unsettled: boolean;
  /**
   * Since when the right is extended by the members' agreement alone, own clock; null: Consul answers.
   * Cleared by the next renewal.
   */
  failsafeSince: number | null;
};

export const newHolding = (): Holding => ({
  renewing: true,
  deposed: false,
  unsettled: false,
  failsafeSince: null,
});

/** The lease was taken or accepted. */
export function holdOn(holding: Holding): void {
  holding.renewing = true;
}

/** Nobody may be told to go on, and this node must not: the lease runs out by itself. */
export function letRunOut(holding: Holding): void {
  holding.renewing = false;
}

export function depose(holding: Holding): void {
  holding.deposed = true;
}

/** The guard does what had to be done about it. */
export function heedDeposed(holding: Holding): void {
  holding.deposed = false;
}

export function writeUnknown(holding: Holding): void {
  holding.unsettled = true;
}

export function writeSettled(holding: Holding): void {
  holding.unsettled = false;
}

/** True: it has just begun. */
export function beginFailsafe(holding: Holding, now: number): boolean {
  if (holding.failsafeSince !== null) return false;
  holding.failsafeSince = now;
  return true;
}

/** Since when it went on until now; null: there was none. */
export function forgetFailsafe(holding: Holding): number | null {
  const since = holding.failsafeSince;
  holding.failsafeSince = null;
  return since;
}
