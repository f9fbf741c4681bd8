/**
 * Schemas of the values under `cloudify/cluster/` (CONTRACTS 4). A value that does not fit makes that key
 * unreadable, never absent. Fields that are not known here are kept: a record that is written again keeps
 * what a newer version put into it.
 */
import * as v from 'valibot';
import { nodeName } from '../config/fields.ts';
import {
  cloneId,
  commonName,
  deviceId,
  hash,
  memberAddress,
  shortText,
  versionText,
} from '../config/member.ts';
import type { ConfigRecord } from '../core/config_record.ts';
import type {
  ActiveRecord,
  ClusterRecord,
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
const lsn = v.pipe(v.string(), v.regex(/^\d{1,20}$/));
const name = nodeName();
const orNone = <S extends v.GenericSchema<string>>(schema: S) => v.union([schema, v.literal('')]);
const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));
const forks = v.array(v.looseObject({ tli: whole, lsn }));

export const leaseRecord: v.GenericSchema<LeaseRecord> = v.looseObject({
  schema,
  // Released: nobody. Handed over: the target, as no instance yet.
  holder: orNone(name),
  instance: orNone(shortText()),
  epoch: whole,
  seq: whole,
  reason: v.string(),
  from: v.nullable(name),
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
  leader: name,
  epoch: whole,
  timeline: whole,
  history: forks,
  voters: v.array(v.looseObject({ node: name, clone: cloneId() })),
  k: whole,
});

export const activeRecord: v.GenericSchema<ActiveRecord> = v.looseObject({
  schema,
  node: name,
  epoch: whole,
  hostIp: orNone(memberAddress()),
  timeline: whole,
  since: v.string(),
});

/**
 * Of one that is being removed and of whom nothing could be read, the address and what belongs to it may be
 * empty.
 */
export const nodeRecord: v.GenericSchema<NodeRecord> = v.pipe(
  v.looseObject({
    schema,
    hostIp: orNone(memberAddress()),
    publicIp: v.nullable(shortText()),
    apiPort: port,
    postgresPort: port,
    version: orNone(versionText()),
    options: v.looseObject({ priority: v.number(), nofailover: v.boolean(), maintenance: v.boolean() }),
    deviceId: v.optional(deviceId()),
    certificate: v.optional(
      v.looseObject({ name: commonName(), fingerprint: hash(), services: v.optional(v.boolean()) }),
    ),
    leaving: v.optional(v.boolean()),
    proof: v.optional(hash()),
  }),
  v.forward(
    v.check(
      ({ hostIp, leaving }) => hostIp !== '' || leaving === true,
      'must be an IP address, like 10.0.0.11',
    ),
    ['hostIp'],
  ),
  v.forward(
    v.check(({ hostIp, apiPort }) => hostIp === '' || apiPort > 0, 'must be a port'),
    ['apiPort'],
  ),
  v.forward(
    v.check(({ hostIp, postgresPort }) => hostIp === '' || postgresPort > 0, 'must be a port'),
    ['postgresPort'],
  ),
);

export const joiningRecord: v.GenericSchema<JoiningRecord> = v.looseObject({
  schema,
  at: v.string(),
  node: nodeRecord,
  lifeMs: v.optional(v.number()),
});

export const stateRecord: v.GenericSchema<StateRecord> = v.looseObject({
  schema,
  role: v.picklist(['active', 'standby', 'down', 'joining']),
  clone: cloneId(),
  timeline: whole,
  lsn,
  wants: v.picklist(['nothing', 'rewind', 'reclone']),
  failing: v.array(v.string()),
  cooldown: v.boolean(),
  unready: v.optional(v.array(v.string())),
  waiting: v.optional(v.looseObject({ id: v.string(), why: v.string() })),
  checks: v.record(
    v.string(),
    v.looseObject({ ok: v.boolean(), output: v.string(), warning: v.exactOptional(v.boolean()) }),
  ),
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
  agentVersion: versionText(),
  at: v.string(),
  certificates: v.optional(v.picklist(['shared', 'own'])),
  signs: v.optional(v.boolean()),
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
  target: name,
  epoch: whole,
  expires: v.number(),
  by: v.string(),
  refused: v.nullable(v.string()),
});

export const historyRecord: v.GenericSchema<HistoryRecord> = v.looseObject({
  schema,
  epoch: whole,
  holder: name,
  from: v.nullable(name),
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

/** Of 16, 24 or 32 bytes, as Consul takes them. */
export const gossipRecord: v.GenericSchema<{ schema: 1; key: string }> = v.looseObject({
  schema,
  key: v.pipe(
    v.string('must be a text'),
    v.regex(/^[A-Za-z0-9+/]{22,43}={0,2}$/, 'must be a key for gossip in base64'),
  ),
});
