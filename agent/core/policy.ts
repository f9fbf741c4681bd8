/** The settings the core decides by; from the validated configuration. Durations in milliseconds. */
export type Policy = {
  retryPeriod: number;
  renewDeadline: number;
  leaseDuration: number;
  /** Worst case of closing the clients out; renewDeadline + fencingTime < leaseDuration. */
  fencingTime: number;
  primaryStartTimeout: number;
  /** A server that dies again within this long of a start in place is given up to others. */
  restartWindow: number;
  /** How long after an opening failing checks do not count yet: their runs may be of the time before. */
  checksSettle: number;
  stopTimeout: number;
  /** How long the active-only services may take to stop, all together, before they are killed. */
  servicesStop: number;
  /**
   * How long a fresh active waits for a voter's confirmation before it opens degraded, and a lone one before
   * it degrades.
   */
  openWait: number;
  /** How long a holder that cannot open goes on renewing (PROTOCOL D.9). */
  holdWithoutOpen: number;
  /** How long an ex-active, or a node with a failing check, lets others go first. Always bounded. */
  cooldown: number;
  /** How long a node that failed as active is no target of an automatic handover, against ping-pong. */
  failedCooldown: number;
  /** Consul silent, every member's agent in agreement: stay active. */
  failsafe: boolean;
  synchronousMode: 'quorum' | 'strict' | 'off';
  /** Asynchronous mode: bytes a candidate may lack. */
  maximumLagOnFailover: number;
  priority: number;
  nofailover: boolean;
  /** Heartbeat of state/NAME. */
  heartbeat: number;
  /** How long a requested switchover may wait for its target before anything is stopped. */
  switchoverWait: number;
  /** Bytes that its target may be behind when it begins. */
  switchoverLag: number;
  /** How long the files may hold a role change up that clients wait for. */
  filesWait: number;
  /** One round of asking for votes. */
  voteTimeout: number;
  /** Starts in place of a failing service before the role moves. */
  serviceRestarts: number;
  /** Worst case of each dangerous action, by which the remaining right must exceed it (PROTOCOL B.5). */
  worstCase: { promote: number; start: number; open: number };
};

/** Milliseconds. */
export type LeaseTimes = Pick<Policy, 'retryPeriod' | 'renewDeadline' | 'leaseDuration' | 'fencingTime'>;

export const timesOf = (policy: LeaseTimes): LeaseTimes => ({
  retryPeriod: policy.retryPeriod,
  renewDeadline: policy.renewDeadline,
  leaseDuration: policy.leaseDuration,
  fencingTime: policy.fencingTime,
});

export const defaultPolicy: Policy = {
  retryPeriod: 1000,
  renewDeadline: 4000,
  leaseDuration: 6000,
  fencingTime: 1500,
  primaryStartTimeout: 5000,
  restartWindow: 60000,
  checksSettle: 5000,
  stopTimeout: 5000,
  servicesStop: 5000,
  openWait: 3000,
  holdWithoutOpen: 15000,
  cooldown: 10000,
  failedCooldown: 60000,
  failsafe: true,
  synchronousMode: 'quorum',
  maximumLagOnFailover: 1048576,
  priority: 100,
  nofailover: false,
  heartbeat: 15000,
  switchoverWait: 10000,
  switchoverLag: 16 * 1024 * 1024,
  filesWait: 10000,
  voteTimeout: 2000,
  serviceRestarts: 1,
  worstCase: { promote: 1500, start: 1500, open: 500 },
};
