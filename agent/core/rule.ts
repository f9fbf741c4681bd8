import type { Action } from './actions.ts';
import type { Facts } from './facts.ts';

/** The node's role as the diagram draws it. */
export type RuleRole = 'any' | 'joining' | 'standby' | 'candidate' | 'holder' | 'active' | 'fenced';

/**
 * One row of the table: first match wins, in the order of the ids. Data: no rule changes what a later one
 * reads.
 */
export type Rule = {
  id: number;
  /** What is the case, in the words of the operator. */
  situation: string;
  from: RuleRole;
  to: RuleRole;
  when(f: Facts): boolean;
  /** One line, said in the log, the status, the API and the metrics. */
  reason(f: Facts): string;
  /** Names of the actions, for the table; `actions` returns them with their arguments. */
  does: Action['do'][];
  actions(f: Facts): Action[];
};

/** A writable server, or one that may be: unknown counts as writable wherever that is the careful answer. */
export const isPrimary = (f: Facts): boolean => f.pg.process !== 'stopped' && f.pg.role === 'primary';
export const isStandby = (f: Facts): boolean => f.pg.process === 'running' && f.pg.role === 'standby';
export const isDown = (f: Facts): boolean => f.pg.process === 'stopped';
/** What runs without standby.signal and does not say what it is may be writable. */
const mayBePrimary = (f: Facts): boolean =>
  isPrimary(f) || (f.pg.process === 'running' && f.pg.role === 'unknown' && !f.pg.standbySignal);
/** Holds the lease, with a right of its own that has not run out. */
export const holds = (f: Facts): boolean => f.lease.state === 'mine' && f.lease.right > 0;
/** Somebody else's word counts: another holds the lease, or did before it was released. */
export const elsewhere = (f: Facts): boolean =>
  f.lease.state === 'other' || f.lease.state === 'free' || f.lease.state === 'impostor';
/** Anything that only the active may run or leave open. */
export const actsActive = (f: Facts): boolean => mayBePrimary(f) || f.services.running.length > 0;
/** `sync` names this node under the epoch that it holds: its data is the cluster's. */
export const syncIsOurs = (f: Facts): boolean => f.sync?.leader === true && f.sync.epoch === f.lease.epoch;
/**
 * When votes are asked for: late enough for the voters' own clocks, early enough to have them when the lease
 * has run out.
 */
export const voteAfter = (f: Facts): number =>
  Math.max(f.policy.renewDeadline + 100, f.policy.leaseDuration - 1000);
/** Does the lease call for a challenge? */
export const challengeable = (f: Facts): boolean =>
  f.lease.state === 'free' ||
  ((f.lease.state === 'other' || f.lease.state === 'impostor') && f.lease.still >= voteAfter(f));
/** Before a copy of the database that may take hours: the files can follow meanwhile. */
export const filesFirst = (f: Facts): Action[] => (f.filesDue === 'follow' ? [{ do: 'files_follow' }] : []);
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
