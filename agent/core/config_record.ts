/** The key `config` in Consul. */

export type ConfigRecord = {
  schema: 1;
  version: number;
  paused: boolean;
  pausedUntil: number | null;
  synchronousMode: 'quorum' | 'strict' | 'off';
  /**
   * The lease's times, a ClusterLease; whatever is there is checked where it is taken (lease_times.ts). Left
   * out: each node's file.
   */
  lease?: unknown;
};

/** `lease` in the `config` key, as the agent writes it. Milliseconds. */
export type ClusterLease = {
  retryPeriod: number;
  renewDeadline: number;
  leaseDuration: number;
  fencingTime: number;
  /** One more with each change. */
  version: number;
  by: string;
  at: string;
};
