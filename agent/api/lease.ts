/** The cluster's lease times, as people see and change them. */
import type { LeaseTimes } from '../core/policy.ts';
import type { RecordTimes } from '../core/records.ts';

/**
 * Milliseconds. `preset` and `multiplier` make all times anew; single ones lie over these, or over those that
 * hold.
 */
export type LeaseChange = { preset?: 'default' | 'fast'; multiplier?: number } & Partial<LeaseTimes>;

/** The lease's times as this node sees them. */
export type LeaseReport = {
  used: LeaseTimes;
  /** file: the cluster has none, or none that can be used. */
  source: 'cluster' | 'file';
  version: number | null;
  by: string | null;
  at: string | null;
  /** What the lease itself says; null: its holder's agent is older. */
  record: RecordTimes | null;
  file: LeaseTimes;
  /** What is not as this node's file has it; null: nothing. */
  note: string | null;
  /** Nodes whose files say otherwise. */
  others: { node: string; file: LeaseTimes }[];
};
