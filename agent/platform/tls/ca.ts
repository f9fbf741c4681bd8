/**
 * The cluster's certificate authority, keys and requests. WebCrypto and ECDSA P-256; everything in and out is
 * PEM.
 */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { AgentError } from '../../errors.ts';

export interface Ca {
  readonly certificate: string;
  /** PKCS #8. Every member holds it: any of them may become the active, who signs. */
  readonly key: string;
}

export interface KeyAndRequest {
  /** PKCS #8. Never leaves the machine it was made on. */
  readonly key: string;
  /** PKCS #10, signed by that key. */
  readonly request: string;
}

export type Usage = 'server' | 'client';

export interface Profile {
  readonly commonName: string;
  /** Host names and IP addresses, v4 and v6. */
  readonly names: readonly string[];
  readonly usages: readonly Usage[];
  readonly days: number;
  /** Ends the certificate at this moment instead of in `days`: for tests. Milliseconds since 1970. */
  readonly notAfter?: number;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 86_400_000;
/** Clocks of the managers may differ by this much: a certificate holds from a little before it was made. */
const SKEW = DAY;
export const CA_DAYS = 20 * 365;
/** Short: a certificate that has gone astray ends by itself, and each node renews its own. */
export const NODE_DAYS = 90;

/**
 * What the library needs comes first, by an import of its own: a bundler does not keep the order within one
 * file.
 */
const load = async () => {
  await import('reflect-metadata');
  return (await import('./x509.ts')).x509;
};

/** 16 random bytes, positive, as RFC 5280 wants it. */
const serial = (): string => {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
};

function period(days: number, notAfter?: number): { notBefore: Date; notAfter: Date } {
  const end = notAfter ?? Date.now() + days * DAY;
  return { notBefore: new Date(Math.min(Date.now(), end) - SKEW), notAfter: new Date(end) };
}

const newKeys = (): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<CryptoKeyPair>;

async function privatePem(key: CryptoKey): Promise<string> {
  const { PemConverter } = await load();
  return `${PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

async function privateKey(pem: string): Promise<CryptoKey> {
  const { PemConverter } = await load();
  return crypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(pem), ALGORITHM, false, ['sign']);
}

/** A new authority. One per cluster, made at its start. */
export async function createCa(clusterId: string, days = CA_DAYS): Promise<Ca> {
  const x509 = await load();
  const keys = await newKeys();
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [`Cloudify cluster ${clusterId}`] }],
    ...period(days),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${made.toString('pem')}\n`, key: await privatePem(keys.privateKey) };
}

/** A new key and the request for its certificate. The names that count are those of whoever signs. */
export async function createKeyAndRequest(commonName: string): Promise<KeyAndRequest> {
  const x509 = await load();
  const keys = await newKeys();
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: ALGORITHM,
  });
  return { key: await privatePem(keys.privateKey), request: `${made.toString('pem')}\n` };
}

/**
 * A certificate for the request's key. Of the request nothing else is taken: names and usages are the
 * signer's word. Throws usage `bad_request` when it cannot be read or is not signed by its own key.
 */
export async function signRequest(ca: Ca, request: string, profile: Profile): Promise<string> {
  const x509 = await load();
  const asked = await readRequest(request);
  const issuer = new x509.X509Certificate(ca.certificate);
  const usages = profile.usages.map((usage) =>
    usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
  );
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [profile.commonName] }],
    issuer: issuer.subjectName,
    ...period(profile.days, profile.notAfter),
    signingAlgorithm: ALGORITHM,
    publicKey: asked.publicKey,
    signingKey: await privateKey(ca.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyAgreement,
        true,
      ),
      new x509.ExtendedKeyUsageExtension(usages),
      new x509.SubjectAlternativeNameExtension(
        [...new Set(profile.names)].map((value) => ({
          type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
          value,
        })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return `${made.toString('pem')}\n`;
}

async function readRequest(pem: string) {
  const x509 = await load();
  const bad = (cause?: unknown) =>
    new AgentError({
      class: 'usage',
      code: 'bad_request',
      message: 'the certificate request cannot be read, or is not signed by its own key',
      cause,
    });
  try {
    const request = new x509.Pkcs10CertificateRequest(pem);
    if (await request.verify()) return request;
  } catch (cause) {
    throw bad(cause);
  }
  throw bad();
}
