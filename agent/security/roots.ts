/**
 * The roots that a node trusts, as a list in one place. There is one, but while the cluster's authority is
 * renewed (authority.ts): then there are two, and the node's own certificates come from either. The first is
 * the one that signs here.
 */
import { Buffer } from 'node:buffer';
import { createHash, createPublicKey, sign, verify, X509Certificate } from 'node:crypto';
import { pemBlocks } from '../platform/tls/bundle.ts';
import type { Ca } from '../platform/tls/ca.ts';
import { fingerprintOf, keyFits, signedBy } from '../platform/tls/read.ts';

export interface Root {
  /** SHA-256 of the certificate, hexadecimal. */
  readonly fingerprint: string;
  /** PEM. */
  readonly certificate: string;
}

export const rootOf = (certificate: string): Root => ({
  fingerprint: fingerprintOf(certificate),
  certificate,
});

/**
 * Of the texts of `ca.pem` and `ca.key`. The key says which root signs: it is replaced in one step, and the
 * list after it.
 */
export function rootsOf(certificates: string, key: string): Root[] {
  const all = new Map(pemBlocks(certificates).map((one) => [fingerprintOf(one), rootOf(one)]));
  const signing = [...all.values()].find(({ certificate }) => key !== '' && keyFits(certificate, key));
  return signing === undefined
    ? [...all.values()]
    : [signing, ...[...all.values()].filter((root) => root !== signing)];
}

/** The root that this certificate comes from; undefined for none of them. */
export const issuerOf = (certificate: string, roots: readonly Root[]): Root | undefined =>
  roots.find((root) => signedBy(certificate, root.certificate));

/** Which of these roots this is the key of; undefined for none. */
export const rootOfKey = (key: string, roots: readonly Root[]): Root | undefined =>
  roots.find(({ certificate }) => keyFits(certificate, key));

/**
 * The fingerprint of the root whose key it is; of a root that is none of these the hash of its public key.
 */
export const nameOfKey = (key: string, roots: readonly Root[]): string =>
  rootOfKey(key, roots)?.fingerprint ??
  createHash('sha256')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest('hex');

/**
 * What else than a root with this purpose could be signed by an authority's key begins otherwise: a
 * certificate is DER.
 */
const statement = (certificate: string): Buffer =>
  Buffer.from(`cloudify: trust this root as you trust me\n${fingerprintOf(certificate)}`);

/** The word of one authority for another: base64. */
export const vouch = (by: Ca, certificate: string): string =>
  sign('sha256', statement(certificate), by.key).toString('base64');

/** Did this root's authority vouch for that certificate? False also when something cannot be read. */
export function isVouched(by: Root, certificate: string, word: string): boolean {
  try {
    const { publicKey } = new X509Certificate(by.certificate);
    return verify('sha256', statement(certificate), publicKey, Buffer.from(word, 'base64'));
  } catch {
    return false;
  }
}

/** A name for everything that a node's services are given: the same texts, the same name. */
export const stampOf = (texts: readonly string[]): string =>
  createHash('sha256').update(texts.join('\0')).digest('hex');
