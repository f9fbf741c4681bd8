/**
 * The lease's times (docs/lease.md). They are the cluster's, from its `config` key; and each lease record
 * says by which ones its writer goes, so that a holder and a challenger whose settings differ still go by the
 * same numbers.
 */
import { isMine, type LeaseView } from './lease_view.ts';
import type { NodeContext, Owning } from './node.ts';
import type { LeaseTimes, Policy } from './policy.ts';
import type { LeaseRecord, RecordTimes, View } from './records.ts';

const NAMES = ['retryPeriod', 'renewDeadline', 'leaseDuration', 'fencingTime'] as const;
const SHORTEST = 100;
const LONGEST = 3_600_000;

export const sameTimes = (a: LeaseTimes, b: LeaseTimes): boolean =>
  NAMES.every((name) => a[name] === b[name]);

/** For people: `1/4/6 s, fencing 1.5 s`. */
export function timesText(times: LeaseTimes): string {
  const lease = [times.retryPeriod, times.renewDeadline, times.leaseDuration].map((ms) => ms / 1000);
  return `${lease.join('/')} s, fencing ${times.fencingTime / 1000} s`;
}

/** What is unsafe or no time at all; null: nothing. */
export function timesProblem(times: LeaseTimes): string | null {
  for (const name of NAMES) {
    const ms = times[name];
    if (!Number.isSafeInteger(ms) || ms < SHORTEST || ms > LONGEST)
      return `${name} must be a whole number of milliseconds from ${SHORTEST} to ${LONGEST}`;
  }
  if (times.retryPeriod * 2 > times.renewDeadline)
    return `renewDeadline (${times.renewDeadline}) must be at least twice retryPeriod (${times.retryPeriod})`;
  if (times.renewDeadline + times.fencingTime >= times.leaseDuration)
    return `leaseDuration (${times.leaseDuration}) must be longer than renewDeadline + fencingTime (${times.renewDeadline} + ${times.fencingTime})`;
  return null;
}

/**
 * The cluster's times out of its `config` key, which anybody with access to Consul may have written. Without
 * a fencing time: the own.
 */
export function clusterTimes(lease: unknown, own: LeaseTimes): { times: LeaseTimes } | { problem: string } {
  if (typeof lease !== 'object' || lease === null) return { problem: 'is not an object' };
  const given = lease as Record<string, unknown>;
  const times = {
    retryPeriod: given.retryPeriod,
    renewDeadline: given.renewDeadline,
    leaseDuration: given.leaseDuration,
    fencingTime: given.fencingTime ?? own.fencingTime,
  } as LeaseTimes;
  const problem = timesProblem(times);
  return problem === null ? { times } : { problem };
}

/**
 * The worst cases of the dangerous steps: never more than half of the right, or no right would ever do for
 * them.
 */
export const worstCaseOf = (renewDeadline: number): Policy['worstCase'] => ({
  promote: Math.min(1500, renewDeadline / 2),
  start: Math.min(1500, renewDeadline / 2),
  open: Math.min(500, renewDeadline / 4),
});

/**
 * The cluster's times become this node's; without good ones, those of its file. Says once what is not as the
 * file has it.
 */
export function takeTimes(n: Owning<'policy' | 'timesNote'>, view: View): void {
  const config = view.config?.value;
  if (config === undefined) return;
  const found = config.lease === undefined ? null : clusterTimes(config.lease, n.fileTimes);
  const times = found !== null && 'times' in found ? found.times : n.fileTimes;
  const note =
    found !== null && 'problem' in found
      ? `the cluster's lease times are not usable (${found.problem}): those of this file are used (${timesText(times)})`
      : sameTimes(times, n.fileTimes)
        ? null
        : `lease times of this file (${timesText(n.fileTimes)}) are not the cluster's (${timesText(times)}); the cluster's are used`;
  if (!sameTimes(times, n.policy))
    n.policy = { ...n.policy, ...times, worstCase: worstCaseOf(times.renewDeadline) };
  if (note === n.timesNote) return;
  n.timesNote = note;
  if (note !== null) n.log({ component: 'lease', level: 'warn', message: note });
}

/**
 * By which times a record is waited for. One without any is of an older agent, which goes by its file: the
 * longest known here.
 */
export function seenTimes(n: NodeContext, record: LeaseRecord | null): RecordTimes {
  return (
    record?.times ?? {
      renewDeadline: Math.max(n.policy.renewDeadline, n.fileTimes.renewDeadline),
      leaseDuration: Math.max(n.policy.leaseDuration, n.fileTimes.leaseDuration),
    }
  );
}

/**
 * How long a right lasts under a record with these times: never longer than what that record tells
 * challengers.
 */
export function rightOf(n: NodeContext, times: RecordTimes): number {
  const { renewDeadline, fencingTime } = n.policy;
  return Math.min(renewDeadline, times.renewDeadline, times.leaseDuration - fencingTime - 1);
}

/**
 * The times that the next record of this node says. Shorter ones only once no right that was given under
 * longer ones can still run, here or in the kernel: until then the right is short already and challengers are
 * told the longer time.
 */
export function nextTimes(n: NodeContext, sent: number): RecordTimes {
  const { renewDeadline, leaseDuration } = n.policy;
  const record = n.lease.record;
  if (record === null || !isMine(n.lease, n.name, n.instance)) return { renewDeadline, leaseDuration };
  const held = seenTimes(n, record);
  return outstanding(n, held) <= sent + renewDeadline ? { renewDeadline, leaseDuration } : held;
}

/**
 * Until when a right of this instance may run. What an earlier process was given was given before its record
 * was seen here.
 */
const outstanding = (n: NodeContext, held: RecordTimes): number =>
  n.lease.granted ?? n.lease.firstSeen + held.renewDeadline;

/** Before a record is sent: by what is unsettled, and what is outstanding from before this process. */
export function sending(n: NodeContext, times: RecordTimes): LeaseView {
  const record = n.lease.record;
  const mine = record !== null && isMine(n.lease, n.name, n.instance);
  return {
    ...n.lease,
    granted: mine ? outstanding(n, seenTimes(n, record)) : n.lease.granted,
    unsettledDeadline: Math.min(n.lease.unsettledDeadline, times.renewDeadline),
  };
}

/** A right until then. Never shortens what is remembered to be outstanding. */
export function grant(lease: LeaseView, epoch: number, until: number): LeaseView {
  return { ...lease, right: { epoch, until }, granted: Math.max(lease.granted ?? until, until) };
}
