/**
 * Signatures of the cluster's authority on what stands in Consul about members. Whoever writes into Consul,
 * but has not the authority's key, makes nobody a member by it. Signed is what opens a door; what a node
 * tells of itself beside that is not.
 */
import { Buffer } from 'node:buffer';
import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import * as v from 'valibot';
import type { JoiningRecord, NodeRecord } from '../core/records.ts';
import type { TokenRecord } from './tokens.ts';

/** `signed` in a record. `issued`: milliseconds since 1970, and for one name always more than before. */
const signature = v.looseObject({
  issued: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  signature: v.pipe(v.string(), v.maxLength(512)),
});
export type Signature = v.InferOutput<typeof signature>;

/** The folder of the key in Consul, or the key itself: what is signed for one place counts at no other. */
export type Place = 'nodes' | 'joining' | 'removed' | 'tokens' | 'signed';

export interface Statement {
  /** Another cluster's authority is another one; two clusters made from one backup may have the same. */
  readonly clusterId: string;
  readonly place: Place;
  /** The key's name below its place; '' where there is one key alone. */
  readonly name: string;
  readonly issued: number;
  readonly facts: readonly unknown[];
}

/** For whom the key of a new authority is sealed, once there is one. */
const sealOf = ({ authority }: { authority?: unknown }): unknown =>
  (authority as { seal?: unknown } | null | undefined)?.seal ?? null;

const ofNode = (record: NodeRecord) => {
  const { hostIp, apiPort, postgresPort, certificate, proof, deviceId, leaving } = record;
  return [
    ...[hostIp, apiPort, postgresPort],
    ...[certificate?.name ?? null, certificate?.services === true],
    ...[proof ?? null, deviceId ?? null, leaving === true, sealOf(record as object)],
  ];
};

export interface Records {
  readonly nodes: NodeRecord;
  readonly joining: JoiningRecord;
  readonly tokens: TokenRecord;
  readonly removed: object;
  readonly signed: object;
}

/** What of a record is signed, in this order for ever. */
const FACTS: { readonly [P in Place]: (record: Records[P]) => readonly unknown[] } = {
  nodes: ofNode,
  joining: ({ at, lifeMs, node }) => [at, lifeMs ?? null, ...ofNode(node)],
  tokens: ({ hash, created, expires, by, used }) => [
    ...[hash, created, expires, by],
    used === null ? null : [used.node, used.hostIp, used.key, used.at, used.entered],
  ],
  removed: () => [],
  signed: () => [],
};

export const factsOf = <P extends Place>(place: P, record: Records[P]): readonly unknown[] =>
  FACTS[place](record);

/** The first words are in no certificate that the same key signs. */
const textOf = ({ clusterId, place, name, issued, facts }: Statement): Buffer =>
  Buffer.from(JSON.stringify(['cloudify signed record', 1, clusterId, place, name, issued, ...facts]));

/** `caKey`: PKCS #8 in PEM. */
export const signatureOf = (statement: Statement, caKey: string): Signature => ({
  issued: statement.issued,
  signature: sign('sha256', textOf(statement), createPrivateKey(caKey)).toString('base64'),
});

/** Of a record as it was read; undefined: it has none. */
export function signatureIn(record: unknown): Signature | undefined {
  const found = (record as { signed?: unknown } | null)?.signed;
  return v.is(signature, found) ? found : undefined;
}

/** Is it by one of these keys? */
export const isSignedBy = (keys: readonly KeyObject[], statement: Statement, text: string): boolean =>
  keys.some((key) => {
    try {
      return verify('sha256', textOf(statement), key, Buffer.from(text, 'base64'));
    } catch {
      return false;
    }
  });

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * The keys of all authorities that are trusted now; each text may hold several certificates. What is none is
 * passed over.
 */
export const keysOf = (certificates: readonly string[]): KeyObject[] =>
  certificates
    .flatMap((text) => text.match(CERTIFICATE) ?? [])
    .flatMap((pem) => {
      try {
        return [new X509Certificate(pem).publicKey];
      } catch {
        return [];
      }
    });

/** The public half of the key that signs now. */
export const publicKeyOf = (caKey: string): KeyObject => createPublicKey(createPrivateKey(caKey));
