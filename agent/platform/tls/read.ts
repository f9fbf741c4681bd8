/** What a certificate says, by node:crypto alone: cheap enough for every check and command. */
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';

export interface CertificateFacts {
  /** SHA-256 over the DER form, 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly commonName: string;
  /** As OpenSSL prints them: `DNS:m1, IP Address:10.0.0.11`. */
  readonly names: string;
}

/** Throws what the runtime throws when the text is no certificate. */
export function readCertificate(pem: string): CertificateFacts {
  const read = new X509Certificate(pem);
  return {
    fingerprint: fingerprintOf(pem),
    notBefore: Date.parse(read.validFrom),
    notAfter: Date.parse(read.validTo),
    commonName: /(?:^|\n|, ?)CN ?= ?([^\n,]+)/.exec(read.subject)?.[1] ?? '',
    names: read.subjectAltName ?? '',
  };
}

/** SHA-256 of the first PEM block in the text, a certificate or a request; hexadecimal, lower case. */
export function fingerprintOf(pem: string): string {
  return createHash('sha256').update(derOf(pem)).digest('hex');
}

function derOf(pem: string): Uint8Array {
  const body = /-----BEGIN [A-Z0-9 ]+-----([^-]+)-----END/.exec(pem)?.[1];
  if (body === undefined) throw new TypeError('not a PEM text');
  return Uint8Array.from(atob(body.replace(/\s+/g, '')), (char) => char.charCodeAt(0));
}

/** Is this the key of that certificate? False also when one of them cannot be read. */
export function keyFits(certificate: string, key: string): boolean {
  try {
    const own = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' });
    const said = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
    return own.equals(said);
  } catch {
    return false;
  }
}

/** Was the certificate signed by this authority? Says nothing of its time. False when one cannot be read. */
export function signedBy(certificate: string, ca: string): boolean {
  try {
    const issuer = new X509Certificate(ca);
    return new X509Certificate(certificate).verify(issuer.publicKey);
  } catch {
    return false;
  }
}
