/**
 * A secret for one member, that goes through Consul where others read: sealed for the public key of the
 * member's own certificate. Not with the authority's key, as the management token is: whoever stole that one
 * is why there is a new one.
 */
import { Buffer } from 'node:buffer';
import { createCipheriv, createDecipheriv, createPublicKey, hkdfSync, randomBytes } from 'node:crypto';

const CURVE = { name: 'ECDH', namedCurve: 'P-256' } as const;
const CIPHER = 'aes-256-gcm';
const IV = 12;
const TAG = 16;
/** A P-256 point, uncompressed. */
const POINT = 65;

/** The public key of a certificate, in base64 (SPKI): what a member says in its record. */
export const sealKeyOf = (certificate: string): string =>
  createPublicKey(certificate).export({ type: 'spki', format: 'der' }).toString('base64');

async function cipherKey(own: CryptoKey, other: CryptoKey, point: Uint8Array): Promise<Buffer> {
  const shared = await crypto.subtle.deriveBits({ name: 'ECDH', public: other }, own, 256);
  return Buffer.from(hkdfSync('sha256', new Uint8Array(shared), point, "cloudify authority's key", 32));
}

/** `to`: as `sealKeyOf`. Throws what the runtime throws for what is no key. */
export async function sealFor(to: string, secret: string): Promise<string> {
  const theirs = await crypto.subtle.importKey('spki', Buffer.from(to, 'base64'), CURVE, false, []);
  const pair = (await crypto.subtle.generateKey(CURVE, true, ['deriveBits'])) as CryptoKeyPair;
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  const iv = randomBytes(IV);
  const cipher = createCipheriv(CIPHER, await cipherKey(pair.privateKey, theirs, point), iv);
  const body = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return Buffer.concat([point, iv, cipher.getAuthTag(), body]).toString('base64');
}

/** `key`: the member's, PKCS #8 in PEM. Undefined for what was sealed for another key, or was altered. */
export async function unsealOwn(key: string, sealed: string): Promise<string | undefined> {
  try {
    const bytes = Buffer.from(sealed, 'base64');
    const der = Buffer.from(key.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    const point = new Uint8Array(bytes.subarray(0, POINT));
    const own = await crypto.subtle.importKey('pkcs8', der, CURVE, false, ['deriveBits']);
    const other = await crypto.subtle.importKey('raw', point, CURVE, false, []);
    const [iv, tag] = [bytes.subarray(POINT, POINT + IV), bytes.subarray(POINT + IV, POINT + IV + TAG)];
    const cipher = createDecipheriv(CIPHER, await cipherKey(own, other, point), iv, { authTagLength: TAG });
    cipher.setAuthTag(tag);
    return Buffer.concat([cipher.update(bytes.subarray(POINT + IV + TAG)), cipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}
