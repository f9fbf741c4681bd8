/** The decision: pure, from facts to a rule, a reason and actions. First match wins. */
import type { Action } from './actions.ts';
import type { Facts } from './facts.ts';
import { actsActive, holds, type Rule, syncIsOurs, voteAfter } from './rule.ts';
import { freeLease } from './rules/free_lease.ts';
import { holder } from './rules/holder.ts';
import { safety } from './rules/safety.ts';
import { standby } from './rules/standby.ts';
import { starting } from './rules/starting.ts';

const last: Rule = {
  id: 990,
  situation: 'none of the above',
  from: 'any',
  to: 'fenced',
  when: () => true,
  reason: (f) => `no rule covers this: lease ${f.lease.state}, database ${f.pg.process} ${f.pg.role}`,
  does: ['fence_down'],
  actions: (f) =>
    actsActive(f) && !(holds(f) && syncIsOurs(f)) ? [{ do: 'fence_down', why: 'no rule covers this' }] : [],
};

export const rules: Rule[] = [...safety, ...starting, ...holder, ...freeLease, ...standby, last];

export type Decision = { rule: number; situation: string; reason: string; actions: Action[]; nap: number };

export function decide(f: Facts): Decision {
  const rule = rules.find((r) => r.when(f)) ?? last;
  return {
    rule: rule.id,
    situation: rule.situation,
    reason: rule.reason(f),
    actions: rule.actions(f),
    nap: napFor(f),
  };
}

const LOOK_AGAIN = 20;

/**
 * How long until something may change by itself, ms: a tick, or the moment the lease calls for the next step.
 */
function napFor(f: Facts): number {
  const tick = f.policy.retryPeriod;
  // The holder's server is going down, coming up, or hung: which one it is decides what is done, and soon.
  if (holds(f) && f.pg.role === 'unknown' && f.pg.process !== 'stopped') return LOOK_AGAIN;
  if (f.lease.state === 'mine' || f.lease.state === 'unknown') return tick;
  const moments = [voteAfter(f), f.policy.leaseDuration]
    .map((at) => at - f.lease.still)
    .filter((ms) => ms > 0);
  const early = f.lease.state === 'free' || f.lease.still >= voteAfter(f) ? tick / 4 : tick;
  return Math.max(5, Math.min(early, ...moments));
}
