/** Connection strings towards other members, and the password file they name. */
import { join } from 'node:path';
import type { Upstream } from '../../core/postgres.ts';
import type { PgOptions } from './options.ts';

export const passFile = (o: PgOptions): string => join(o.confDir, 'passfile');

/** Text of the password file: any host, any database, the replication role alone. */
export function renderPassFile(o: PgOptions): string {
  if (o.replicationAuth === 'trust') return '';
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

/** How this node connects to `to`. Dead peers are noticed by TCP too: a receiver must not sit on one for hours. */
export function conninfoTo(o: PgOptions, to: Upstream, applicationName: string, database?: string): string {
  const seconds = Math.max(2, Math.ceil(o.walTimeout / 1000));
  return conninfo({
    host: to.host,
    port: String(to.port),
    user: o.replicationUser,
    ...(database === undefined ? {} : { dbname: database }),
    application_name: applicationName,
    connect_timeout: String(seconds),
    keepalives_idle: String(seconds),
    keepalives_interval: '1',
    keepalives_count: '3',
    tcp_user_timeout: String(o.walTimeout),
    ...(o.replicationAuth === 'trust' ? {} : { passfile: passFile(o) }),
    sslmode: 'prefer',
    ...o.conninfo,
  });
}
