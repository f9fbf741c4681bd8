/** The database as it was last seen, and what was last done for its replication. Written here alone. */
import type { Fork, PgFacts } from '../postgres.ts';

export type DatabaseMemory = {
  /** As main last looked, or a cancelled switchover; null before the first look. */
  facts: Readonly<PgFacts> | null;
  /** When main looked, own clock. */
  at: number;
  /**
   * History of the own timeline, as last read: with another timeline, or while there was none to read, again.
   */
  history: readonly Fork[] | null;
  /** Where the own branch left the leader's, when it did. Found anew at each look of main. */
  fork: Fork | null;
  /** Did a standby stream when this active was last well? Stays as it was while it is not. */
  hadStandby: boolean;
  /**
   * Since when no voter streams, own clock; null while one does, or none is listed. Looked at by each step of
   * the voters.
   */
  lonelySince: number | null;
  /**
   * For which members, and on which copy, the replication slots were last made sure of; null: not known.
   * Cleared where they may have been lost: after a start in place, and when slots were dropped by an older
   * list of members.
   */
  slotsMade: string | null;
  /** Whom the database was last told to follow, for the hooks. */
  followed: string | null;
  /**
   * The epoch under which the own branch was last found to be a prefix of the holder's; null: not compared
   * since the start.
   */
  comparedEpoch: number | null;
};

export const newDatabase = (): DatabaseMemory => ({
  facts: null,
  at: Number.NEGATIVE_INFINITY,
  history: null,
  fork: null,
  hadStandby: false,
  lonelySince: null,
  slotsMade: null,
  followed: null,
  comparedEpoch: null,
});

/** The one look per tick. */
export function seeDatabase(db: DatabaseMemory, facts: PgFacts, now: number): void {
  db.facts = facts;
  db.at = now;
}

/** A look between two ticks: what main reckons from the time of its own stays as it is. */
export function seeAgain(db: DatabaseMemory, facts: PgFacts): void {
  db.facts = facts;
}

export function seeHistory(db: DatabaseMemory, history: readonly Fork[] | null): void {
  db.history = history;
}

export function seeFork(db: DatabaseMemory, fork: Fork | null): void {
  db.fork = fork;
}

/** Of a well, open active. */
export function seeStandbys(db: DatabaseMemory, facts: PgFacts): void {
  db.hadStandby = facts.walSenders.some((s) => s.state === 'streaming');
}

/** `isServed`: a voter streams, or none is waited for. */
export function seeVoters(db: DatabaseMemory, isServed: boolean, now: number): void {
  if (isServed) db.lonelySince = null;
  else db.lonelySince ??= now;
}

export function slotsAreMade(db: DatabaseMemory, wanted: string): void {
  db.slotsMade = wanted;
}

export function slotsMayBeLost(db: DatabaseMemory): void {
  db.slotsMade = null;
}

/**
 * It follows `holder`, of whose log its own is a prefix under `epoch`. True: it did not follow that node
 * before.
 */
export function followNow(db: DatabaseMemory, holder: string, epoch: number): boolean {
  db.comparedEpoch = epoch;
  const isNew = db.followed !== holder;
  db.followed = holder;
  return isNew;
}
