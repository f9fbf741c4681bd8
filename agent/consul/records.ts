/** Schemas of the values under `cloudify/cluster/` (DESIGN 4). A value that does not fit makes the read unknown, never absent. */
import * as v from 'valibot';
import type {
  ActiveRecord,
  ClusterRecord,
  ConfigRecord,
  HistoryRecord,
  JoiningRecord,
  LeaseRecord,
  NodeRecord,
  RequestRecord,
  StateRecord,
  SyncRecord,
} from '../core/records.ts';

const schema = v.literal(1);
const whole = v.pipe(v.number(), v.integer());
const lsn = v.pipe(v.string(), v.regex(/^\d+$/));
const forks = v.array(v.object({ tli: whole, lsn }));

export const leaseRecord: v.GenericSchema<LeaseRecord> = v.object({
  schema,
  holder: v.string(),
  instance: v.string(),
  epoch: whole,
  seq: whole,
  reason: v.string(),
  from: v.nullable(v.string()),
  clean: v.nullable(v.object({ timeline: whole, lsn })),
  closedForMs: v.nullable(v.number()),
});

export const clusterRecord: v.GenericSchema<ClusterRecord> = v.object({
  schema,
  id: v.string(),
  incarnation: whole,
  systemId: v.string(),
});

export const syncRecord: v.GenericSchema<SyncRecord> = v.object({
  schema,
  leader: v.string(),
  epoch: whole,
  timeline: whole,
  history: forks,
  voters: v.array(v.object({ node: v.string(), clone: v.string() })),
  k: whole,
});

export const activeRecord: v.GenericSchema<ActiveRecord> = v.object({
  schema,
  node: v.string(),
  epoch: whole,
  hostIp: v.string(),
  timeline: whole,
  since: v.string(),
});

export const nodeRecord: v.GenericSchema<NodeRecord> = v.object({
  schema,
  hostIp: v.string(),
  publicIp: v.nullable(v.string()),
  apiPort: whole,
  postgresPort: whole,
  version: v.string(),
  options: v.object({ priority: v.number(), nofailover: v.boolean(), maintenance: v.boolean() }),
  deviceId: v.optional(v.string()),
  certificate: v.optional(v.object({ name: v.string(), fingerprint: v.string() })),
  leaving: v.optional(v.boolean()),
  proof: v.optional(v.string()),
});

export const joiningRecord: v.GenericSchema<JoiningRecord> = v.object({
  schema,
  at: v.string(),
  node: nodeRecord,
  lifeMs: v.optional(v.number()),
});

export const stateRecord: v.GenericSchema<StateRecord> = v.object({
  schema,
  role: v.picklist(['active', 'standby', 'down', 'joining']),
  clone: v.string(),
  timeline: whole,
  lsn,
  wants: v.picklist(['nothing', 'rewind', 'reclone']),
  failing: v.array(v.string()),
  cooldown: v.boolean(),
  checks: v.record(v.string(), v.object({ ok: v.boolean(), output: v.string() })),
  files: v.optional(
    v.object({
      state: v.picklist(['off', 'complete', 'behind', 'unknown']),
      needItems: whole,
      needBytes: whole,
      errors: whole,
    }),
  ),
  rule: v.string(),
  reason: v.string(),
  agentVersion: v.string(),
  at: v.string(),
});

export const requestRecord: v.GenericSchema<RequestRecord> = v.object({
  schema,
  id: v.string(),
  kind: v.literal('switchover'),
  target: v.string(),
  epoch: whole,
  expires: v.number(),
  by: v.string(),
  refused: v.nullable(v.string()),
});

export const historyRecord: v.GenericSchema<HistoryRecord> = v.object({
  schema,
  epoch: whole,
  holder: v.string(),
  from: v.nullable(v.string()),
  reason: v.string(),
  kind: v.picklist(['start', 'switchover', 'failover', 'recover']),
  at: v.string(),
  timeline: whole,
  lsn: v.nullable(lsn),
  fork: forks,
  opened: v.nullable(v.string()),
  downtimeMs: v.nullable(v.number()),
  files: v.optional(v.object({ needItems: whole, needBytes: whole })),
});

export const configRecord: v.GenericSchema<ConfigRecord> = v.object({
  schema,
  version: whole,
  paused: v.boolean(),
  pausedUntil: v.nullable(v.number()),
  synchronousMode: v.picklist(['quorum', 'strict', 'off']),
});
