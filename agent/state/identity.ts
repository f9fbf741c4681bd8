/**
 * Who this agent is: its instance, its durable memory, and its membership in a cluster. Files in the state
 * folder.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../config/index.ts';
import type { Durable } from '../core/durable.ts';
import { readJson, removeDurably, writeJson } from '../platform/files.ts';
import { agentFiles } from '../platform/paths.ts';
import { bootId } from '../platform/process.ts';

const PRIVATE = 0o600;

const instanceSchema = v.object({ boot: v.string(), nonce: v.string() });

/**
 * Boot id and nonce (PROTOCOL B.2). The nonce lives in the run folder and counts for this boot only: a
 * restarted agent is the same instance, a rebooted or copied machine another.
 */
export function instanceOf(config: Config): string {
  const path = join(config.paths.run_dir, 'instance.json');
  const boot = bootId();
  const known = readJson(path, instanceSchema);
  if (known !== undefined && known.boot === boot) return `${boot}/${known.nonce}`;
  const nonce = randomBytes(8).toString('hex');
  writeJson(path, { boot, nonce });
  return `${boot}/${nonce}`;
}

/** A clone id: eight hexadecimal digits, new for every copy of the database. */
export const newClone = (): string => randomBytes(4).toString('hex');

const durableSchema = v.object({
  clone: v.string(),
  clusterId: v.nullable(v.string()),
  incarnation: v.number(),
  vote: v.nullable(v.object({ index: v.number(), epoch: v.number(), holder: v.string() })),
  rebuilding: v.nullable(v.picklist(['rewind', 'reclone'])),
  wants: v.optional(v.literal('reclone')),
});

export function durableStore(config: Config) {
  const path = agentFiles(config).state('durable');
  return {
    load: (): Durable =>
      readJson(path, durableSchema) ?? {
        clone: newClone(),
        clusterId: null,
        incarnation: 0,
        vote: null,
        rebuilding: null,
      },
    save: (durable: Durable): void => writeJson(path, durable),
    forget: (): void => removeDurably(path),
  };
}

const membershipSchema = v.object({
  nodeName: v.string(),
  hostIp: v.string(),
  publicIp: v.nullable(v.string()),
  clusterId: v.string(),
  incarnation: v.number(),
  systemId: v.string(),
  /** What peers show each other. */
  secret: v.string(),
  /** Addresses of the Consul servers, for retry_join and as other servers to ask. */
  consulServers: v.array(v.string()),
  /** The settings that start or join were given: they hold as long as the membership. */
  options: v.optional(v.record(v.string(), v.unknown()), {}),
  /** False until the active has entered this node: an agent that dies in between asks again. */
  entered: v.optional(v.boolean(), true),
  /** The cluster removed this node, and its Consul has ended: nothing of the cluster runs here any more. */
  removed: v.optional(v.boolean(), false),
});
export type Membership = v.InferOutput<typeof membershipSchema>;

export function membershipStore(config: Config) {
  const path = agentFiles(config).state('membership');
  return {
    load: (): Membership | undefined => readJson(path, membershipSchema),
    save: (membership: Membership): void => writeJson(path, membership, PRIVATE),
    forget: (): void => removeDurably(path),
  };
}

const joiningSchema = v.object({
  at: v.string(),
  nodeName: v.string(),
  hostIp: v.string(),
  /** Of the database that is copied: no other one may be taken for what the join left. */
  systemId: v.string(),
  /** The copy is gone: whatever database is here now is somebody's own. */
  wiped: v.optional(v.boolean(), false),
});
export type Joining = v.InferOutput<typeof joiningSchema>;

/** The mark of a join under way: found by the next agent, everything the join made is taken away again. */
export function joiningStore(config: Config) {
  const path = agentFiles(config).state('joining');
  return {
    load: (): Joining | undefined => readJson(path, joiningSchema),
    save: (joining: Omit<Joining, 'at'>): void =>
      writeJson(path, { at: new Date().toISOString(), ...joining }),
    forget: (): void => removeDurably(path),
  };
}

export const newSecret = (): string => randomBytes(32).toString('hex');
export const newId = (): string => randomUUID();
