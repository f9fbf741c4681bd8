/**
 * What entitles this node to take the lease and to promote, and what keeps it from asking. Written here
 * alone.
 */
import type { Vote } from '../ports.ts';
import type { Lsn } from '../postgres.ts';

/**
 * The votes of one lease index; an entry that is missing did not answer (which is unknown, never "behind").
 */
export type Ballot = {
  index: number;
  syncIndex: number;
  own: Vote;
  votes: Record<string, Vote>;
  refused: Record<string, string>;
  at: number;
};

/**
 * Why this node may promote under `epoch`: won by votes, handed over after a clean stop, or the founder of
 * the cluster.
 */
export type Mandate =
  | { kind: 'votes'; epoch: number; votes: Vote[] }
  | { kind: 'handover'; epoch: number; timeline: number; lsn: Lsn; from: string }
  | { kind: 'founder'; epoch: number };

export type Candidacy = {
  /**
   * The last votes that were asked for; null: none, or none of our own. Spent by the takeover, void with a
   * fence-down.
   */
  ballot: Ballot | null;
  /**
   * Given by taking or accepting the lease; used up by the promotion, void with a fence-down or a release.
   */
  mandate: Mandate | null;
  /**
   * Do not challenge before this time (own clock): after a release, others go first. Only ever delays, for a
   * bounded time.
   */
  cooldownUntil: number;
};

export const newCandidacy = (): Candidacy => ({
  ballot: null,
  mandate: null,
  cooldownUntil: Number.NEGATIVE_INFINITY,
});

/** null: this node does not even have a vote of its own. */
export function castBallot(candidacy: Candidacy, ballot: Ballot | null): void {
  candidacy.ballot = ballot;
}

/** A takeover was tried with it; whatever came of that, it counts for no second one. */
export function spendBallot(candidacy: Candidacy): void {
  candidacy.ballot = null;
}

export function giveMandate(candidacy: Candidacy, mandate: Mandate): void {
  candidacy.mandate = mandate;
}

/** A second promotion needs a new epoch. */
export function useMandate(candidacy: Candidacy): void {
  candidacy.mandate = null;
}

/** Fenced down: what entitled this node before is void. */
export function voidCandidacy(candidacy: Candidacy): void {
  candidacy.ballot = null;
  candidacy.mandate = null;
}

/** Gave the lease up by itself. */
export function standBack(candidacy: Candidacy, until: number): void {
  candidacy.mandate = null;
  candidacy.cooldownUntil = until;
}
