/** What the runner remembers of one check, and how a result changes it. */
import type { CheckSettings } from '../config/checks.ts';
import type { Check, CheckResult, CheckVerdict, NodeRole } from './port.ts';
import { count, FRESH, isUnsettled, isWeak, type Tally } from './tally.ts';

/** A run under way. */
export interface Running {
  readonly startedAt: number;
  readonly role: NodeRole;
  readonly abort: AbortController;
  /** It was counted as failed already; what it still says is not listened to. */
  overdue: boolean;
}

export interface Entry {
  readonly check: Check;
  readonly settings: CheckSettings;
  /** Time limit of one run, ms. */
  readonly limit: number;
  tally: Tally;
  /** The last result that counted; null before the first one. */
  last: { readonly verdict: CheckVerdict; readonly output: string; readonly at: number } | null;
  lastGood: number;
  role: NodeRole;
  dueAt: number;
  running: Running | null;
  /** Asked for while a run was under way: one more follows at once. */
  again: boolean;
}

export type Status = 'passing' | 'warning' | 'critical';

export function newEntry(check: Check, settings: CheckSettings, limit: number, now: number): Entry {
  return {
    check,
    settings,
    limit,
    tally: FRESH,
    last: null,
    lastGood: now,
    role: 'none',
    dueAt: now,
    running: null,
    again: false,
  };
}

export function record(entry: Entry, role: NodeRole, result: CheckResult, now: number): void {
  // Results for the former role do not count for the new one.
  if (entry.check.ofRole && entry.role !== role) entry.tally = FRESH;
  entry.role = role;
  const good = result.verdict !== 'fail';
  entry.last = { ...result, at: now };
  if (good) entry.lastGood = now;
  entry.tally =
    result.verdict === 'skip' ? { state: 'passing', against: 0 } : count(entry.tally, good, entry.settings);
}

/** A check whose state is about to change is asked more often than its own rhythm, ms. */
const UNSETTLED_EVERY = 1000;

export function nextDue(entry: Entry, startedAt: number): number {
  const { every } = entry.settings;
  return startedAt + (isUnsettled(entry.tally) ? Math.min(every, UNSETTLED_EVERY) : every);
}

/** By the tally, so that one bad result does not flap; null before the first result. */
export function statusOf({ tally, last }: Entry): Status | null {
  if (last === null) return null;
  if (tally.state === 'failing') return 'critical';
  return isWeak(tally) || last.verdict === 'warn' ? 'warning' : 'passing';
}
