/**
 * What Syncthing's REST listener shows, and by what the agent knows it. Somebody else may have the port while
 * Syncthing is down: he must not be sent the key to every file.
 */
import { createCa, createKeyAndRequest, signRequest } from '../../platform/tls/ca.ts';

export type RestCertificate = {
  /**
   * Trusted for this one address by this one agent. Its key is gone once this is made: it signs nothing else.
   */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
};

/** Made anew at each start of Syncthing, so nobody has to watch when it ends. */
const DAYS = 20 * 365;

/**
 * With an address in it and an issuer of its own: such a certificate Syncthing does not replace by one it
 * makes itself.
 */
export async function makeRestCertificate(address: string): Promise<RestCertificate> {
  const ca = await createCa('syncthing', DAYS);
  const { key, request } = await createKeyAndRequest('syncthing');
  const certificate = await signRequest(ca, request, {
    commonName: 'syncthing',
    names: [address],
    usages: ['server'],
    days: DAYS,
  });
  return { ca: ca.certificate, certificate, key };
}
