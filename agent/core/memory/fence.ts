/**
 * Whether clients are let in, as far as this node did it or saw it, and since when they are not. Written here
 * alone.
 */
import type { PgFacts } from '../postgres.ts';

export type FenceMemory = {
  /**
   * unknown: from the beginning, or a call to shut them out failed; what the server shows decides then. A
   * stopped server is closed.
   */
  state: 'closed' | 'open' | 'unknown';
  /** How many fence-downs run right now: main and the keeper wait. */
  running: number;
  /** Until when the kernel lets clients in, as far as it confirmed; own clock. Grows with each extension. */
  openUntil: number;
  /** When clients were last let in, own clock. */
  openedAt: number;
  /**
   * Since when this holder has been without an open, writable database; null while it is open, or while it
   * has no right.
   */
  closedSince: number | null;
  /**
   * Since when, on our own clock, clients have presumably been without an active: for the measured downtime.
   * Set by whatever ends the last one, before it does; null when they are let in, when another takes over,
   * and when it is not known.
   */
  outageSince: number | null;
  /** Downtime of the last opening, as measured here; null when unknown. */
  lastDowntime: number | null;
};

export const newFence = (): FenceMemory => ({
  state: 'unknown',
  running: 0,
  openUntil: Number.NEGATIVE_INFINITY,
  openedAt: Number.NEGATIVE_INFINITY,
  closedSince: null,
  outageSince: null,
  lastDowntime: null,
});

/** Known to be closed. */
export function shut(fence: FenceMemory): void {
  fence.state = 'closed';
}

/** A call to shut clients out came back: without a confirmation they may be in or out. */
export function shutIf(fence: FenceMemory, confirmed: boolean): void {
  fence.state = confirmed ? 'closed' : 'unknown';
}

/** A look at the server tells what this process does not know by itself. */
export function seeFence(fence: FenceMemory, pg: Pick<PgFacts, 'fenced' | 'process'>): void {
  if (fence.state === 'unknown' && pg.fenced !== 'unknown') fence.state = pg.fenced ? 'closed' : 'open';
  if (pg.process === 'stopped') fence.state = 'closed';
}

export function beginFencing(fence: FenceMemory): void {
  fence.running += 1;
}

export function endFencing(fence: FenceMemory): void {
  fence.running -= 1;
}

/** `isOpen`: to a writable database. `hasRight`: without one, nobody waits for this node. */
export function seeClosed(fence: FenceMemory, isOpen: boolean, hasRight: boolean, now: number): void {
  if (isOpen || !hasRight) fence.closedSince = null;
  else fence.closedSince ??= now;
}

/** The lease was taken or accepted, and nothing is open yet. */
export function beginTerm(fence: FenceMemory, now: number, outageSince: number | null): void {
  fence.closedSince = now;
  fence.outageSince = outageSince;
}

export function beginOutage(fence: FenceMemory, at: number): void {
  fence.outageSince = at;
}

/** As beginOutage, where it may have begun before. */
export function beginOutageUnlessBegun(fence: FenceMemory, at: number): void {
  fence.outageSince ??= at;
}

/** Another ends it from here on, and measures it. */
export function passOutageOn(fence: FenceMemory): void {
  fence.outageSince = null;
}

export function letIn(fence: FenceMemory, until: number, now: number): void {
  fence.state = 'open';
  fence.openUntil = until;
  fence.openedAt = now;
}

/** Open, and everything that belongs to it done. How long clients had been out, ms; null: not known. */
export function endOutage(fence: FenceMemory, now: number): number | null {
  fence.closedSince = null;
  fence.lastDowntime = fence.outageSince === null ? null : Math.round(now - fence.outageSince);
  fence.outageSince = null;
  return fence.lastDowntime;
}

/** The kernel confirmed that clients may stay until then. */
export function stayOpen(fence: FenceMemory, until: number): void {
  fence.openUntil = Math.max(fence.openUntil, until);
}

/** The kernel's time was over before it could be told of more. */
export function closeByItself(fence: FenceMemory): void {
  fence.state = 'closed';
  fence.outageSince ??= fence.openUntil;
}
