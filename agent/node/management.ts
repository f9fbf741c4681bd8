/**
 * Consul's management token after a node was removed: with it one makes and takes away others' tokens. The
 * key `management` in Consul has it, sealed with the authority's key, which every member holds and nobody
 * else: a reservation reads all keys, too.
 */
import { Buffer } from 'node:buffer';
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import * as v from 'valibot';
import type { ConsulAdmin } from '../consul/admin.ts';
import type { ConsulKv } from '../consul/port.ts';
import { AgentError } from '../errors.ts';
import { until } from '../platform/clock.ts';
import { type Secrets, securityStore } from '../security/store.ts';
import { type GossipParts, gossipPartsOf } from './gossip.ts';
import type { Parts } from './parts.ts';

const record = v.object({ schema: v.literal(1), sealed: v.string() });
const CIPHER = 'aes-256-gcm';
const IV = 12;
/** For a server that is behind, ms. */
const PATIENCE = 15_000;
const TAG = 16;

const keyOf = (caKey: string) => Buffer.from(hkdfSync('sha256', caKey, '', 'cloudify management token', 32));

export function seal(token: string, caKey: string): string {
  const iv = randomBytes(IV);
  const cipher = createCipheriv(CIPHER, keyOf(caKey), iv);
  const body = Buffer.concat([cipher.update(token, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64');
}

/** Undefined for what was not sealed with this key, or was altered. */
export function unseal(sealed: string, caKey: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length <= IV + TAG) return undefined;
  try {
    const cipher = createDecipheriv(CIPHER, keyOf(caKey), bytes.subarray(0, IV), { authTagLength: TAG });
    cipher.setAuthTag(bytes.subarray(IV, IV + TAG));
    return Buffer.concat([cipher.update(bytes.subarray(IV + TAG)), cipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

export interface ManagementParts extends GossipParts {
  /** Empty on a node that is not enrolled. */
  readonly caKey: () => string;
  /** While the authority is renewed, the other key that it may be sealed with still. */
  readonly otherCaKeys?: () => readonly string[];
}

export const managementPartsOf = (parts: Parts, kv: ConsulKv): ManagementParts => ({
  ...gossipPartsOf(parts, kv),
  caKey: () => parts.security.current()?.ca.key ?? '',
  otherCaKeys: () => securityStore(parts.config).keys().slice(1),
});

/** Undefined for what was sealed with no key that is held here. */
function unsealHere({ caKey, otherCaKeys }: ManagementParts, sealed: string): string | undefined {
  for (const key of [caKey(), ...(otherCaKeys?.() ?? [])]) {
    const token = unseal(sealed, key);
    if (token !== undefined) return token;
  }
  return undefined;
}

/**
 * On the active, once every member holds the key that signs: what was sealed with the one before is sealed
 * with that one. True when it is so, or there is none; to be called again else.
 */
export async function resealManagement(parts: ManagementParts, to: Pick<ConsulKv, 'put'>): Promise<boolean> {
  const key = `${parts.prefix}management`;
  const got = await parts.kv.get(key, { consistency: 'consistent', deadlineMs: 2000 });
  if (got.kind !== 'ok') return got.kind === 'absent';
  const { sealed } = v.parse(record, JSON.parse(got.entry.value));
  if (unseal(sealed, parts.caKey()) !== undefined) return true;
  const token = unsealHere(parts, sealed);
  if (token === undefined) return false;
  const value = JSON.stringify({ schema: 1, sealed: seal(token, parts.caKey()) });
  return (await to.put(key, value, { cas: got.entry.modifyIndex })).kind === 'ok';
}

/**
 * Takes the cluster's token into this node's files. True when it was another one. Nothing while Consul does
 * not answer.
 */
export async function followManagement(parts: ManagementParts): Promise<boolean> {
  const { kv, prefix, store, security, configure, caKey } = parts;
  const secrets = store.secrets();
  if (secrets === undefined || caKey() === '') return false;
  const got = await kv.get(`${prefix}management`, { deadlineMs: 2000 });
  if (got.kind !== 'ok') return false;
  const token = unsealHere(parts, v.parse(record, JSON.parse(got.entry.value)).sealed);
  if (token === undefined || token === secrets.managementToken) return false;
  // As they are now: the gossip key may have come meanwhile.
  store.saveSecrets({ ...(store.secrets() ?? secrets), managementToken: token } satisfies Secrets);
  security.reload();
  // Consul makes the token of its file where it is missing, at the next election after its start.
  configure();
  return true;
}

/**
 * A new token for everybody but the removed node, on the active. It is good before anybody is told, and told
 * before the old one ends, so that a break between two leaves every member with one that is good. May be
 * repeated. `admin`: asked at each use, with the token of then; `kv`: where it may be written. Throws
 * transient `management_not_rotated`.
 */
export async function rotateManagement(
  parts: ManagementParts,
  admin: () => Pick<ConsulAdmin, 'acl'> & { readonly kv: Pick<ConsulKv, 'put'> },
): Promise<void> {
  // On condition of what was there: of two that do this at once one fails, and the token that is told is
  // never one that was ended.
  const before = await parts.kv.get(`${parts.prefix}management`, { consistency: 'consistent' });
  if (before.kind === 'unknown') throw failed('Consul does not answer');
  const cas = before.kind === 'ok' ? before.entry.modifyIndex : 0;
  const token = randomUUID();
  const made = await admin().acl.createManagementToken(token);
  if (made.kind !== 'ok') throw failed('it was not created');
  const value = JSON.stringify({ schema: 1, sealed: seal(token, parts.caKey()) });
  const written = await admin().kv.put(`${parts.prefix}management`, value, { cas });
  if (written.kind !== 'ok') throw failed('it was not saved');
  await followManagement(parts);
  if (parts.store.secrets()?.managementToken !== token) throw failed('it could not be read back');
  // The server that is asked may learn of the new one a moment after the leader.
  const revoked = async () => (await admin().acl.revokeManagementTokens(token)).kind === 'ok';
  if (!(await until(revoked, { timeout: PATIENCE, every: 250 })))
    throw failed('the old one may still be valid');
}

/**
 * On the active, again and again: a server that was elected with an earlier token in its memory makes that
 * one anew, until it is started again. Those alone, or it would end what a rotation has just made. Nothing
 * before the first removal: then the token is the founder's.
 */
export async function endOldManagement(
  parts: ManagementParts,
  admin: () => Pick<ConsulAdmin, 'acl'>,
): Promise<void> {
  const token = parts.store.secrets()?.managementToken;
  const got = await parts.kv.get(`${parts.prefix}management`, { deadlineMs: 2000 });
  if (got.kind !== 'ok' || !token) return;
  // Not by one that is itself old: it would end the one that counts.
  const current = unsealHere(parts, v.parse(record, JSON.parse(got.entry.value)).sealed);
  if (current === token) await admin().acl.revokeManagementTokens(token, { configured: true });
}

const failed = (why: string) =>
  new AgentError({
    class: 'transient',
    code: 'management_not_rotated',
    message: `Consul's management token was not changed: ${why}`,
    hint: 'run the command again',
  });
