/** Connection strings towards other members, and the password file they name. */
import { join } from 'node:path';
import type { Upstream } from '../../core/postgres.ts';
import type { PgOptions } from './options.ts';
import { clientTls, type TlsSettings } from './tls.ts';

export const passFile = (o: PgOptions): string => join(o.confDir, 'passfile');

/** Text of the password file: any host, any database, the replication role alone. */
export function renderPassFile(o: PgOptions): string {
  if (typeof o.replicationAuth === 'string') return '';
  const escaped = (text: string) => text.replace(/[\\:]/g, (c) => `\\${c}`);
  return `*:*:*:${escaped(o.replicationUser)}:${escaped(o.replicationAuth.password)}\n`;
}

/** A libpq connection string. Values are quoted when they need it. */
export function conninfo(fields: Record<string, string>): string {
  const quote = (v: string) => (/^[\w.,:/@-]+$/.test(v) ? v : `'${v.replace(/[\\']/g, (c) => `\\${c}`)}'`);
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${quote(value)}`)
    .join(' ');
}

/**
 * How this node connects to `to`. Dead peers are noticed by TCP too: a receiver must not sit on one for
 * hours.
 */
export function conninfoTo(
  o: PgOptions,
  tls: TlsSettings | undefined,
  to: Upstream,
  applicationName: string,
  database?: string,
): string {
  const seconds = Math.max(2, Math.ceil(o.walTimeout / 1000));
  return conninfo({
    // By certificate it is the node that is verified, wherever it is reached.
    ...(tls === undefined ? { host: to.host } : { host: to.node, hostaddr: to.host }),
    port: String(to.port),
    user: o.replicationUser,
    ...(database === undefined ? {} : { dbname: database }),
    application_name: applicationName,
    connect_timeout: String(seconds),
    keepalives_idle: String(seconds),
    keepalives_interval: '1',
    keepalives_count: '3',
    tcp_user_timeout: String(o.walTimeout),
    ...(typeof o.replicationAuth === 'string' ? {} : { passfile: passFile(o) }),
    ...(tls === undefined ? { sslmode: 'prefer' } : clientTls(o, tls)),
    ...o.conninfo,
  });
}
