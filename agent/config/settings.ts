import * as v from 'valibot';
import { AgentError } from '../errors.ts';
import { makeConfig } from './load.ts';
import { withOptions } from './options.ts';
import type { Config } from './resolve.ts';
import type { ConfigInput } from './schema.ts';

/**
 * The part of the configuration that must be the same on every node, kept in Consul's `config` key. Above all
 * the lease: a challenger's lease_duration is measured against the holder's renew_deadline. Nothing in it
 * names a path, a user or a command, because every node of the cluster can write that key.
 */
export const CLUSTER_KEYS = [
  'lease',
  'checks',
  'synchronous_mode',
  'maximum_lag_on_failover',
  'failsafe',
  'allow_minority_mode',
  'failover',
  'switchover',
] as const;
export type ClusterKey = (typeof CLUSTER_KEYS)[number];

export type ClusterSettings = Pick<ConfigInput, ClusterKey>;

/** The `config` key's value; `version` rises by one at each change. */
export const clusterSettingsSchema = v.object({
  schema: v.literal(1),
  version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  settings: v.record(v.picklist(CLUSTER_KEYS), v.unknown()),
});

/** The cluster-wide part of a file, as written: what the first node stores at `cluster start`. */
export function clusterSettings(input: ConfigInput): ClusterSettings {
  return Object.fromEntries(
    CLUSTER_KEYS.filter((key) => input[key] !== undefined && input[key] !== null).map((key) => [
      key,
      input[key],
    ]),
  ) as ClusterSettings;
}

/** This node's file under the cluster's settings: those win over the node's own. Throws ConfigError. */
export function withClusterSettings(input: ConfigInput, settings: ClusterSettings): Config {
  const own = Object.fromEntries(
    Object.entries(input).filter(([key]) => !(CLUSTER_KEYS as readonly string[]).includes(key)),
  );
  return makeConfig({ ...own, ...clusterSettings(settings) }, 'cluster settings');
}

/**
 * Lays a change over the cluster's settings and validates the result. Throws ConfigError, or usage for a
 * node's key.
 */
export function changeSettings(current: ClusterSettings, change: ConfigInput): ClusterSettings {
  const foreign = Object.keys(withOptions({}, change)).filter(
    (key) => !(CLUSTER_KEYS as readonly string[]).includes(key),
  );
  if (foreign.length > 0) {
    throw new AgentError({
      class: 'usage',
      code: 'not_cluster_setting',
      message: `not a setting of the whole cluster: ${foreign.join(', ')}`,
      hint: `these are: ${CLUSTER_KEYS.join(', ')}; others belong to each node's agent.yaml`,
    });
  }
  const next = clusterSettings(withOptions(current, change));
  makeConfig(next, 'cluster settings');
  return next;
}
