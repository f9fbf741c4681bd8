import * as v from 'valibot';
import { bytes, choice, duration, flag, integer, positiveDuration } from './fields.ts';
import { section } from './group.ts';

export const SYNCHRONOUS_MODES = ['quorum', 'strict', 'off'] as const;
export type SynchronousMode = (typeof SYNCHRONOUS_MODES)[number];

/** What decides who becomes active and when; times in milliseconds, sizes in bytes once parsed. */
export const policyEntries = {
  synchronous_mode: v.optional(choice(SYNCHRONOUS_MODES), 'quorum'),
  /** Asynchronous mode alone: a standby further behind than this is not eligible. */
  maximum_lag_on_failover: v.optional(bytes(), '1MB'),
  /** Consul down, but every member's agent answers and agrees: stay active. */
  failsafe: v.optional(flag(), true),
  /** On purpose against both promises: an isolated node may become active alone. */
  allow_minority_mode: v.optional(flag(), false),
  minority_merge: v.optional(
    v.never('must be left out: this version has no minority mode, and would ignore it'),
  ),
  failover: section({
    /** A node that lost the active role by a fault of its own is not chosen again for this long. */
    cooldown: v.optional(duration(), '60s'),
    /**
     * How long conditions other than the lease and the data (tag, cooldown, failing check) may delay a
     * takeover.
     */
    delay_limit: v.optional(duration(), '10s'),
    /** One round of asking for votes. */
    vote_timeout: v.optional(positiveDuration(), '2s'),
    /** A holder whose database cannot be opened to clients for this long stops renewing. */
    open_timeout: v.optional(positiveDuration(), '15s'),
    /** An active's failing service is restarted in place this often before the role moves. */
    service_restarts: v.optional(integer(0, 100), 1),
  }),
  switchover: section({
    timeout: v.optional(positiveDuration(), '60s'),
    /** The target must be at most this far behind when it begins. */
    maximum_lag: v.optional(bytes(), '16MB'),
  }),
};

/** This node's own eligibility. */
export const tagsSchema = section({
  /** Never becomes active by itself; a switchover to it is still possible. */
  nofailover: v.optional(flag(), false),
  /** Of equally advanced nodes the higher is chosen. */
  priority: v.optional(integer(0, 1000), 100),
});
