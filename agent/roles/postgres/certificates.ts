/**
 * Certificates of this node, each set in a folder of its own, so that a set is in force as a whole or not at
 * all: the one that cluster.conf names.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome } from '../../core/postgres.ts';
import { deadline } from '../../platform/clock.ts';
import { makeDir, PRIVATE, syncDir, writeDurably } from '../../platform/files.ts';
import { pemBlocks } from '../../platform/tls/bundle.ts';
import type { PgOptions } from './options.ts';
import type { Certificates } from './port.ts';
import { apply, isLoaded } from './reload.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { quoteLiteral } from './sql.ts';
import { pairProblem } from './ssl_files.ts';
import { certificateDir, type TlsSettings } from './tls.ts';

const RELOAD = 5000;

export async function setCertificates(server: Server, certificates: Certificates): Promise<Outcome> {
  const { o, settings } = server;
  const end = deadline(RELOAD);
  const claim = server.claims.take('certificates', end);
  return await attempt('certificates', async (): Promise<Outcome> => {
    const problem = pairProblem(certificates.certPem, certificates.keyPem);
    if (problem !== null) return failed(problem);
    const id = store(o, certificates);
    const tls: TlsSettings = { id, members: [...new Set(certificates.members)].sort() };
    const same = JSON.stringify((await settings.get()).tls) === JSON.stringify(tls);
    if (!same || !(await isLoaded(server, end.left()))) {
      const applied = await apply(server, { tls }, end, claim);
      if (applied.kind !== 'done') return applied;
      if (applied.running === true) await endStrangers(server, tls, certificates.caPem, end.left());
    }
    claim.check();
    if (!same) await dropOthers(o, id);
    return DONE;
  });
}

/** The id of the set is what it holds: the same certificates are the same set. */
function store(o: PgOptions, { caPem, certPem, keyPem }: Certificates): string {
  const id = createHash('sha256').update(`${caPem}\0${certPem}\0${keyPem}`).digest('hex').slice(0, 16);
  const dir = certificateDir(o, id);
  // The key is written last: with it the set is complete.
  if (existsSync(join(dir, 'key.pem'))) return id;
  makeDir(dir, 0o700);
  writeDurably(join(dir, 'ca.pem'), caPem, PRIVATE);
  writeDurably(join(dir, 'cert.pem'), certPem, PRIVATE);
  writeDurably(join(dir, 'key.pem'), keyPem, PRIVATE);
  syncDir(join(o.confDir, 'tls'));
  return id;
}

async function dropOthers(o: PgOptions, id: string): Promise<void> {
  for (const name of await readdir(join(o.confDir, 'tls'))) {
    if (name !== id) await rm(certificateDir(o, name), { recursive: true, force: true });
  }
}

/** As `pg_stat_ssl` has it: `/CN=...`. */
const issuers = (caPem: string): string[] =>
  pemBlocks(caPem).map((root) => `/${new X509Certificate(root).subject.split('\n').join('/')}`);

/**
 * Whoever is connected as a standby by another certificate, or by none, was let in by rules that are over;
 * and so was one whose certificate comes from a root that was trusted before.
 */
async function endStrangers(server: Server, tls: TlsSettings, caPem: string, ms: number): Promise<void> {
  const names = tls.members.map((name) => quoteLiteral(`/CN=${name}`)).join(', ');
  const roots = issuers(caPem).map(quoteLiteral).join(', ');
  await server.link.query(
    `select pg_terminate_backend(a.pid) from pg_stat_activity a left join pg_stat_ssl s on s.pid = a.pid
     where a.usename = ${quoteLiteral(server.o.replicationUser)} and (coalesce(s.client_dn, '') not in (${names || "''"}) or coalesce(s.issuer_dn, '') not in (${roots || "''"}))`,
    Math.max(1, ms),
  );
}
