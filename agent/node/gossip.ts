/**
 * The gossip key after a node was removed: the key `gossip` in Consul has it, every member's file follows,
 * and the running servers are told by the active. Who was away reads it from the others' servers before its
 * own starts (PROTOCOL F.7).
 */
import * as v from 'valibot';
import { memberConsulUrl } from '../config/index.ts';
import type { ConsulAdmin } from '../consul/admin.ts';
import { createConsulClient } from '../consul/client.ts';
import type { ConsulKv } from '../consul/port.ts';
import { gossipRecord } from '../consul/records.ts';
import { AgentError } from '../errors.ts';
import { until } from '../platform/clock.ts';
import type { LiveSecurity } from '../security/live.ts';
import { newGossipKey, type SecurityStore, securityStore } from '../security/store.ts';
import { consulAccess } from './access.ts';
import type { Parts } from './parts.ts';

export interface GossipParts {
  readonly kv: ConsulKv;
  /** Of all keys, with a slash at its end. */
  readonly prefix: string;
  readonly store: Pick<SecurityStore, 'secrets' | 'saveSecrets'>;
  readonly security: LiveSecurity;
  /** Writes Consul's configuration with the key there is now. */
  readonly configure: () => void;
}

/** Undefined for what is no key; the view of Consul names it as unreadable. */
function keyIn(text: string): string | undefined {
  try {
    return v.parse(gossipRecord, JSON.parse(text)).key;
  } catch {
    return undefined;
  }
}

/**
 * Takes the cluster's key into this node's files. True when it was another one. Nothing while Consul has none
 * that can be read.
 */
export async function followGossip({
  kv,
  prefix,
  store,
  security,
  configure,
}: GossipParts): Promise<boolean> {
  const secrets = store.secrets();
  if (secrets === undefined) return false;
  const got = await kv.get(`${prefix}gossip`, { deadlineMs: 2000 });
  if (got.kind !== 'ok') return false;
  const key = keyIn(got.entry.value);
  if (key === undefined || key === secrets.gossipKey) return false;
  // As they are now: the management token may have come meanwhile.
  store.saveSecrets({ ...(store.secrets() ?? secrets), gossipKey: key });
  security.reload();
  configure();
  return true;
}

/**
 * The same before this node's Consul is started, asked of the others' servers. Nothing in a plain cluster.
 */
export async function catchUpGossip(parts: Parts, { consulServers }: { consulServers: readonly string[] }) {
  const { config } = parts;
  const others = consulServers.filter((host) => host !== config.host_ip);
  if (parts.security.current() === undefined || others.length === 0) return;
  const { kv } = createConsulClient({
    servers: others.map((host) => memberConsulUrl(config, host)),
    ...consulAccess(parts),
  });
  await followGossip(gossipPartsOf(parts, kv));
}

export const gossipPartsOf = (parts: Parts, kv: ConsulKv): GossipParts => ({
  kv,
  prefix: `${parts.config.consul.prefix}/`,
  store: securityStore(parts.config),
  security: parts.security,
  configure: () => parts.consul.configure(),
});

const PATIENCE = 45_000;

/**
 * A new key for everybody but the removed node, on the active. The key in Consul comes first, so that a
 * member that is away finds it. Throws transient `gossip_not_rotated`: the command can be run again.
 */
export async function rotateGossip(parts: GossipParts, admin: Pick<ConsulAdmin, 'keyring'>): Promise<void> {
  const key = newGossipKey();
  const written = await parts.kv.put(`${parts.prefix}gossip`, JSON.stringify({ schema: 1, key }));
  if (written.kind !== 'ok') throw failed('the new key was not written');
  await followGossip(parts);
  let why = '';
  // A member that has just died counts as one that did not answer until Serf has noticed.
  const rotated = async (): Promise<boolean> => {
    const done = await admin.keyring.rotate(key);
    if (done.kind !== 'ok') why = done.cause.message;
    return done.kind === 'ok';
  };
  if (!(await until(rotated, { timeout: PATIENCE, every: 500 }))) throw failed(why);
}

const failed = (why: string) =>
  new AgentError({
    class: 'transient',
    code: 'gossip_not_rotated',
    message: `the gossip key was not changed everywhere: ${why}`,
    hint: 'run the command again once all nodes that are listed are up',
  });
