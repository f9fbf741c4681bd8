/**
 * Schemas of the values under `cloudify/cluster/` (DESIGN 4). A value that does not fit makes that key unreadable, never absent.
 * Fields that are not known here are kept: a record that is written again keeps what a newer version put into it.
 */
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
const positive = v.pipe(v.number(), v.integer(), v.minValue(1));
const lsn = v.pipe(v.string(), v.regex(/^\d+$/));
const forks = v.array(v.looseObject({ tli: whole, lsn }));

export const leaseRecord: v.GenericSchema<LeaseRecord> = v.looseObject({
  schema,
  holder: v.string(),
  instance: v.string(),
  epoch: whole,
  seq: whole,
  reason: v.string(),
  from: v.nullable(v.string()),
  clean: v.nullable(v.looseObject({ timeline: whole, lsn })),
  stood: v.optional(v.looseObject({ timeline: whole, lsn, history: forks })),
  closedForMs: v.nullable(v.number()),
  // Times that cannot be are no reason to wait less: such a record is not understood.
  times: v.optional(
    v.pipe(
      v.looseObject({ renewDeadline: positive, leaseDuration: positive }),
      v.check((times) => times.renewDeadline < times.leaseDuration),
    ),
  ),
});

export const clusterRecord: v.GenericSchema<ClusterRecord> = v.looseObject({
  schema,
  id: v.string(),
  incarnation: whole,
  systemId: v.string(),
});

export const syncRecord: v.GenericSchema<SyncRecord> = v.looseObject({
  schema,
  leader: v.string(),
  epoch: whole,
  timeline: whole,
  history: forks,
  voters: v.array(v.looseObject({ node: v.string(), clone: v.string() })),
  k: whole,
});

export const activeRecord: v.GenericSchema<ActiveRecord> = v.looseObject({
  schema,
  node: v.string(),
  epoch: whole,
  hostIp: v.string(),
  timeline: whole,
  since: v.string(),
});

export const nodeRecord: v.GenericSchema<NodeRecord> = v.looseObject({
  schema,
  hostIp: v.string(),
  publicIp: v.nullable(v.string()),
  apiPort: whole,
  postgresPort: whole,
  version: v.string(),
  options: v.looseObject({ priority: v.number(), nofailover: v.boolean(), maintenance: v.boolean() }),
  deviceId: v.optional(v.string()),
  certificate: v.optional(v.looseObject({ name: v.string(), fingerprint: v.string() })),
  leaving: v.optional(v.boolean()),
  proof: v.optional(v.string()),
});

export const joiningRecord: v.GenericSchema<JoiningRecord> = v.looseObject({
  schema,
  at: v.string(),
  node: nodeRecord,
  lifeMs: v.optional(v.number()),
});

export const stateRecord: v.GenericSchema<StateRecord> = v.looseObject({
  schema,
  role: v.picklist(['active', 'standby', 'down', 'joining']),
  clone: v.string(),
  timeline: whole,
  lsn,
  wants: v.picklist(['nothing', 'rewind', 'reclone']),
  failing: v.array(v.string()),
  cooldown: v.boolean(),
  unready: v.optional(v.array(v.string())),
  checks: v.record(v.string(), v.looseObject({ ok: v.boolean(), output: v.string() })),
  files: v.optional(
    v.looseObject({
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
  certificates: v.optional(v.picklist(['shared', 'own'])),
  fileTimes: v.optional(
    v.looseObject({
      retryPeriod: positive,
      renewDeadline: positive,
      leaseDuration: positive,
      fencingTime: positive,
    }),
  ),
});

export const requestRecord: v.GenericSchema<RequestRecord> = v.looseObject({
  schema,
  id: v.string(),
  kind: v.literal('switchover'),
  target: v.string(),
  epoch: whole,
  expires: v.number(),
  by: v.string(),
  refused: v.nullable(v.string()),
});

export const historyRecord: v.GenericSchema<HistoryRecord> = v.looseObject({
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
  files: v.optional(v.looseObject({ needItems: whole, needBytes: whole })),
});

export const configRecord: v.GenericSchema<ConfigRecord> = v.looseObject({
  schema,
  version: whole,
  paused: v.boolean(),
  pausedUntil: v.nullable(v.number()),
  synchronousMode: v.picklist(['quorum', 'strict', 'off']),
  lease: v.optional(v.unknown()),
});
