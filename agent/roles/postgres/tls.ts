/**
 * TLS of the server and of connections to other members, from the set of certificates that cluster.conf
 * names.
 */
import { join } from 'node:path';
import { MIN_TLS, OPENSSL_SUITES } from '../../platform/tls/suites.ts';
import type { PgOptions } from './options.ts';

/** `members`: common names, sorted. */
export type TlsSettings = { id: string; members: readonly string[] };

export const certificateDir = (o: PgOptions, id: string): string => join(o.confDir, 'tls', id);

export function serverTls(o: PgOptions, { id }: TlsSettings): Record<string, string> {
  return {
    ssl: 'on',
    ssl_ca_file: join(certificateDir(o, id), 'ca.pem'),
    ssl_cert_file: join(certificateDir(o, id), 'cert.pem'),
    ssl_key_file: join(certificateDir(o, id), 'key.pem'),
    ssl_crl_file: '',
    ssl_passphrase_command: '',
    ssl_min_protocol_version: MIN_TLS,
    ssl_ciphers: OPENSSL_SUITES,
  };
}

export function clientTls(o: PgOptions, { id }: TlsSettings): Record<string, string> {
  return {
    sslmode: 'verify-full',
    sslrootcert: join(certificateDir(o, id), 'ca.pem'),
    sslcert: join(certificateDir(o, id), 'cert.pem'),
    sslkey: join(certificateDir(o, id), 'key.pem'),
    gssencmode: 'disable',
  };
}
