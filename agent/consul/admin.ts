/** Consul with the management token: what only the active does, at start, join and remove. */
import { ConsulAcl } from './acl.ts';
import { HttpCatalog } from './catalog.ts';
import { ConsulKeyring } from './keyring.ts';
import type { ConsulCatalog } from './port.ts';
import { ConsulTransport, type TransportOptions } from './transport.ts';

export interface ConsulAdmin {
  readonly acl: ConsulAcl;
  readonly keyring: ConsulKeyring;
  /** For autopilot, remove-peer and force-leave, which a node's own token may not do. */
  readonly catalog: ConsulCatalog;
}

/** `options.token` is the management token; in a plain cluster there is none, and `acl` and `keyring` are not used. */
export function createConsulAdmin(options: TransportOptions): ConsulAdmin {
  const transport = new ConsulTransport(options);
  return {
    acl: new ConsulAcl(transport),
    keyring: new ConsulKeyring(transport),
    catalog: new HttpCatalog(transport),
  };
}
