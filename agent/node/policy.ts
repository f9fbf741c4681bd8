/**
 * The core's policy as this node's configuration has it. What the cluster has in Consul (the lease's times)
 * goes before it.
 */
import { effectiveLease, type NodeConfig } from '../config/index.ts';
import { worstCaseOf } from '../core/lease_times.ts';
import { defaultPolicy, type Policy } from '../core/policy.ts';

export function policyOf(config: NodeConfig): Policy {
  const lease = effectiveLease(config);
  return {
    ...defaultPolicy,
    retryPeriod: lease.retry_period,
    renewDeadline: lease.renew_deadline,
    leaseDuration: lease.lease_duration,
    fencingTime: lease.fencing_time,
    primaryStartTimeout: config.postgres.primary_start_timeout,
    restartWindow: config.postgres.restart_window,
    stopTimeout: Math.min(config.postgres.stop_timeout, 10_000),
    servicesStop: Math.max(
      defaultPolicy.servicesStop,
      ...config.services.filter((s) => s.active_only && !s.warm).map((s) => s.stop_timeout),
    ),
    failsafe: config.failsafe,
    synchronousMode: config.synchronous_mode,
    maximumLagOnFailover: config.maximum_lag_on_failover,
    priority: config.tags.priority,
    nofailover: config.tags.nofailover,
    cooldown: config.failover.delay_limit,
    failedCooldown: config.failover.cooldown,
    holdWithoutOpen: config.failover.open_timeout,
    voteTimeout: config.failover.vote_timeout,
    serviceRestarts: config.failover.service_restarts,
    switchoverWait: config.switchover.timeout,
    switchoverLag: config.switchover.maximum_lag,
    worstCase: worstCaseOf(lease.renew_deadline),
  };
}
