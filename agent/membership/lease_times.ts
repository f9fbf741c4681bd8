/**
 * The cluster's lease times: what a founder writes, what a change makes of them, and what is said of them.
 * Pure.
 */

import type { LeaseChange, LeaseReport } from '../api/lease.ts';
import { effectiveLease, LEASE_PRESETS, type NodeConfig } from '../config/index.ts';
import type { ClusterLease, ConfigRecord } from '../core/config_record.ts';
import { clusterTimes, sameTimes, timesProblem, timesText } from '../core/lease_times.ts';
import type { NodeContext } from '../core/node.ts';
import { type LeaseTimes, timesOf } from '../core/policy.ts';
import type { View } from '../core/records.ts';
import { isOlder } from '../version.ts';
import { refuse } from './admit.ts';

type Scaled = { retry_period: number; renew_deadline: number; lease_duration: number; fencing_time: number };

const fromFile = (times: Scaled, factor = 1): LeaseTimes => ({
  retryPeriod: Math.round(times.retry_period * factor),
  renewDeadline: Math.round(times.renew_deadline * factor),
  leaseDuration: Math.round(times.lease_duration * factor),
  fencingTime: times.fencing_time,
});

/** The founder's own, as the cluster's first; nothing when they are beyond what the cluster takes. */
export function foundersLease(config: NodeConfig, now: Date): Pick<ConfigRecord, 'lease'> {
  const times = fromFile(effectiveLease(config));
  if (timesProblem(times) !== null) return {};
  const lease: ClusterLease = {
    ...times,
    version: 1,
    by: `start on ${config.node_name}`,
    at: now.toISOString(),
  };
  return { lease };
}

/** The `config` key with the change. Throws what stands against it; nothing has changed then. */
export function withLease(change: LeaseChange, node: NodeContext, by: string): ConfigRecord {
  const { view } = node;
  const held = view?.config?.value;
  if (view === null || held === undefined)
    throw refuse('no_config', "the cluster's settings were not read yet", 'try again in a moment');
  const before = clusterTimes(held.lease, node.fileTimes);
  const times = changed(change, 'times' in before ? before.times : timesOf(node.policy));
  const problem = timesProblem(times);
  if (problem !== null)
    throw refuse(
      'bad_lease_times',
      `${timesText(times)}: ${problem}`,
      "nothing was changed; see 'agent cluster lease set --help'",
    );
  refuseOlder(view, node.version);
  if ('times' in before && sameTimes(times, before.times))
    throw refuse('nothing_to_change', `the cluster's lease times are ${timesText(times)} already`);
  const at = node.wall().toISOString();
  return {
    ...held,
    version: held.version + 1,
    lease: { ...times, version: versionOf(held.lease) + 1, by, at },
  };
}

function changed({ preset, multiplier, ...explicit }: LeaseChange, current: LeaseTimes): LeaseTimes {
  const scaled = preset !== undefined || multiplier !== undefined;
  const base = scaled ? fromFile(LEASE_PRESETS[preset ?? 'default'], multiplier) : current;
  const given = Object.entries(explicit).filter(([, ms]) => ms !== undefined);
  return { ...base, ...Object.fromEntries(given) };
}

/**
 * An agent that does not know the times of the cluster goes by its file: as long as there is one, they stay
 * as they are.
 */
function refuseOlder(view: View, own: string): void {
  const versions = Object.keys(view.nodes).map((name) => ({
    name,
    version: view.states[name]?.agentVersion,
  }));
  const silent = versions.filter(({ version }) => version === undefined).map(({ name }) => name);
  if (silent.length > 0)
    throw refuse(
      'version_unknown',
      `which version of the agent runs on ${silent.join(', ')} is not known`,
      'start the agent there, or remove the node',
    );
  const older = versions.filter(({ version }) => isOlder(version ?? '', own));
  if (older.length === 0) return;
  const which = older.map(({ name, version }) => `${name} (${version})`).join(', ');
  throw refuse(
    'older_agents',
    `an agent older than ${own} runs on ${which}: it would use the lease times of its own file`,
    'upgrade every node first',
  );
}

const versionOf = (lease: unknown): number => {
  const version = (lease as Partial<ClusterLease> | undefined)?.version;
  return Number.isSafeInteger(version) ? (version as number) : 0;
};

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);

export function leaseReport(node: NodeContext): LeaseReport {
  const { view } = node;
  const held = view?.config?.value.lease;
  const found = held === undefined ? null : clusterTimes(held, node.fileTimes);
  const given = found !== null && 'times' in found ? (held as Partial<ClusterLease>) : null;
  return {
    used: timesOf(node.policy),
    source: given === null ? 'file' : 'cluster',
    version: given === null ? null : versionOf(held),
    by: textOf(given?.by),
    at: textOf(given?.at),
    record: node.lease.record?.times ?? null,
    file: node.fileTimes,
    note: node.timesNote,
    others: Object.entries(view?.states ?? {}).flatMap(([name, { fileTimes }]) =>
      // Its word is older than the cluster's newest times: what it said was another may be the same by now.
      fileTimes === undefined || view?.nodes[name] === undefined || sameTimes(fileTimes, node.policy)
        ? []
        : [{ node: name, file: fileTimes }],
    ),
  };
}
