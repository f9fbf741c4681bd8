import * as v from 'valibot';
import { choice, positiveDuration } from './fields.ts';
import { group } from './group.ts';

/** All in milliseconds. */
export interface LeaseTimes {
  /** The holder renews this often, and gives up on one Consul server after this long. */
  readonly retry_period: number;
  /** From the start of its last good renewal the holder may be active for this long. */
  readonly renew_deadline: number;
  /** A challenger may act once it has seen the lease unchanged for this long. */
  readonly lease_duration: number;
  /** The worst case from the deadline to closed client ports. */
  readonly fencing_time: number;
}

export const LEASE_PRESETS = {
  default: { retry_period: 1000, renew_deadline: 4000, lease_duration: 6000, fencing_time: 1500 },
  fast: { retry_period: 500, renew_deadline: 2000, lease_duration: 3000, fencing_time: 700 },
} as const satisfies Record<string, LeaseTimes>;

export type LeasePreset = keyof typeof LEASE_PRESETS;

export interface LeaseConfig extends LeaseTimes {
  readonly preset: LeasePreset;
}

/** Every renewal and challenge timer scaled by `factor`. Fencing takes what it takes: it is not scaled. */
export function scaleLease(lease: LeaseTimes, factor: number): LeaseTimes {
  return {
    retry_period: Math.round(lease.retry_period * factor),
    renew_deadline: Math.round(lease.renew_deadline * factor),
    lease_duration: Math.round(lease.lease_duration * factor),
    fencing_time: lease.fencing_time,
  };
}

export interface LeaseProblem {
  readonly key: keyof LeaseTimes;
  readonly message: string;
}

/**
 * What makes these times unsafe or useless; empty when nothing does. The first rule is the safety of it all.
 */
export function leaseProblems(lease: LeaseTimes): LeaseProblem[] {
  const problems: LeaseProblem[] = [];
  const { retry_period, renew_deadline, lease_duration, fencing_time } = lease;
  if (renew_deadline + fencing_time >= lease_duration) {
    problems.push({
      key: 'lease_duration',
      message:
        `must be longer than renew_deadline + fencing_time (${renew_deadline} + ${fencing_time} ms), or two ` +
        `nodes could be active at once; it is ${lease_duration} ms`,
    });
  }
  if (retry_period * 2 > renew_deadline) {
    problems.push({
      key: 'renew_deadline',
      message:
        `must be at least twice retry_period (${retry_period} ms), so that one lost renewal does not fence ` +
        `the active; it is ${renew_deadline} ms`,
    });
  }
  if (retry_period < 100) {
    problems.push({ key: 'retry_period', message: `must be at least 100 ms; it is ${retry_period} ms` });
  }
  return problems;
}

const entries = {
  preset: v.optional(choice(['default', 'fast']), 'default'),
  retry_period: v.optional(positiveDuration()),
  renew_deadline: v.optional(positiveDuration()),
  lease_duration: v.optional(positiveDuration()),
  fencing_time: v.optional(positiveDuration()),
};

/** `lease:` in the file: a preset, and times that override it one by one. */
export const leaseSchema = v.nullish(
  v.pipe(
    group(entries),
    v.transform((lease): LeaseConfig => {
      const times = LEASE_PRESETS[lease.preset];
      return {
        preset: lease.preset,
        retry_period: lease.retry_period ?? times.retry_period,
        renew_deadline: lease.renew_deadline ?? times.renew_deadline,
        lease_duration: lease.lease_duration ?? times.lease_duration,
        fencing_time: lease.fencing_time ?? times.fencing_time,
      };
    }),
  ),
  {},
);
