/**
 * The lease was released, or has stood still for too long: votes, then the best candidate takes it (PROTOCOL
 * D).
 */
import type { Facts } from '../facts.ts';
import { challengeable, isStandby, type Rule, seconds } from '../rule.ts';

/** A node that has not been entered yet, or not any more, is nobody that others could follow. */
const open = (f: Facts) => challengeable(f) && isStandby(f) && f.member;
const expired = (f: Facts) => f.lease.state === 'free' || f.lease.still >= f.policy.leaseDuration;
/** Tags, failing checks and cooldowns delay by so much, never for ever. */
const handicap = (f: Facts) =>
  Math.max(
    f.cooldown,
    f.policy.nofailover || f.maintenance || f.checks.failing.length > 0
      ? Math.max(0, f.policy.cooldown - f.lease.still + f.policy.leaseDuration)
      : 0,
  );
const patience = (f: Facts) => (f.ballot?.rank ?? 0) * f.policy.retryPeriod;
const waited = (f: Facts) =>
  f.lease.state === 'free' ? f.lease.still : f.lease.still - f.policy.leaseDuration;

export const freeLease: Rule[] = [
  {
    id: 600,
    situation: 'lease free; this node lets others go first (tag, failing check, cooldown)',
    from: 'standby',
    to: 'standby',
    when: (f) => open(f) && handicap(f) > 0,
    reason: (f) => `lets others take the lease first, for ${seconds(handicap(f))} more`,
    does: [],
    actions: () => [],
  },
  {
    id: 610,
    situation: 'lease free or about to be: no votes on it yet',
    from: 'standby',
    to: 'candidate',
    when: (f) => open(f) && (f.ballot === null || !f.ballot.current),
    reason: (f) =>
      f.lease.holder === ''
        ? 'the lease is free: asking for votes'
        : `${f.lease.holder} has not renewed for ${seconds(f.lease.still)}: asking for votes`,
    does: ['ask_votes'],
    actions: () => [{ do: 'ask_votes' }],
  },
  {
    id: 620,
    situation: 'a voter does not answer, or a peer is ahead',
    from: 'candidate',
    to: 'candidate',
    when: (f) => open(f) && f.ballot !== null && f.ballot.verdict.kind === 'must-not',
    reason: (f) => `may not take over: ${f.ballot?.verdict.reason ?? ''}`,
    does: ['ask_votes'],
    actions: () => [{ do: 'ask_votes' }],
  },
  {
    id: 630,
    situation: 'enough votes, and the lease has not run out yet',
    from: 'candidate',
    to: 'candidate',
    when: (f) => open(f) && !expired(f),
    reason: (f) =>
      `has the votes; the lease of ${f.lease.holder} runs out in ${seconds(f.policy.leaseDuration - f.lease.still)}`,
    does: [],
    actions: () => [],
  },
  {
    id: 640,
    situation: 'enough votes, but a better candidate voted too',
    from: 'candidate',
    to: 'candidate',
    when: (f) => open(f) && waited(f) < patience(f),
    reason: () => 'a better candidate goes first',
    does: [],
    actions: () => [],
  },
  {
    id: 650,
    situation: 'best candidate',
    from: 'candidate',
    to: 'holder',
    when: (f) => open(f),
    reason: (f) => `taking the lease: ${f.ballot?.verdict.reason ?? ''}`,
    does: ['acquire'],
    actions: (f) => [
      {
        do: 'acquire',
        reason: f.lease.holder === '' ? (f.lease.released ?? 'released') : `${f.lease.holder} did not renew`,
      },
    ],
  },
];
