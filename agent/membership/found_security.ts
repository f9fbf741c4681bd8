/**
 * At `cluster start`: the authority, this node's certificates and secrets. Before Consul, which starts with
 * them (PROTOCOL F.1).
 */
import { randomBytes } from 'node:crypto';
import type { NodeConfig } from '../config/index.ts';
import { createCa } from '../platform/tls/ca.ts';
import { keyFits, readCertificate, signedBy } from '../platform/tls/read.ts';
import { issueOwn, namesOf, newCommonName } from '../security/certificates.ts';
import { loadSecurity, newSecrets, SERVICES, type Security, securityStore } from '../security/store.ts';

/**
 * Makes what is missing and keeps what is there, so that an interrupted start goes on with what Consul may
 * already have been started with. Undefined in a plain cluster (`api.tls: false`).
 */
export async function foundSecurity(config: NodeConfig): Promise<Security | undefined> {
  if (!config.api.tls) return undefined;
  const store = securityStore(config);
  const had = store.ca();
  const known = had?.key === '' ? undefined : had;
  const ca = known ?? (await createCa(randomBytes(4).toString('hex')));
  if (known === undefined) store.saveCa(ca);
  if (store.secrets() === undefined) store.saveSecrets(newSecrets());

  const names = namesOf(config);
  const pairs = SERVICES.map((service) => store.pair(service));
  const good = pairs.every(
    (pair) =>
      pair !== undefined &&
      keyFits(pair.certificate, pair.key) &&
      signedBy(pair.certificate, ca.certificate) &&
      readCertificate(pair.certificate).names.includes(names.hostIp),
  );
  if (!good) {
    const made = await issueOwn(ca, names, newCommonName(names.node));
    for (const service of SERVICES) store.savePair(service, made[service]);
  }
  return loadSecurity(config);
}
