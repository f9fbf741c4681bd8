/** What the HTTPS listener shows before the manager is in a cluster: a certificate that nobody trusts, made in memory. */
import { createCa } from '../platform/tls/ca.ts';
import type { ClientTls } from '../platform/tls/fetch.ts';
import { issueOwn } from './certificates.ts';

/** Made at the first call and kept until the agent ends. */
export function temporaryTls(host: () => string | undefined): () => Promise<Required<ClientTls>> {
  let made: Promise<Required<ClientTls>> | undefined;
  const make = async () => {
    const ca = await createCa('none yet', 30);
    const names = { node: 'manager', hostIp: host() ?? '127.0.0.1', publicIp: null, datacenter: 'none' };
    const { agent } = await issueOwn(ca, names, 'manager in no cluster', { days: 30 });
    return { ca: ca.certificate, cert: agent.certificate, key: agent.key };
  };
  return () => {
    made ??= make();
    return made;
  };
}
