/** The node's security as its parts ask for it at every call: read once, and again when its files were written. */
import type { NodeConfig } from '../config.ts';
import type { StateRecord } from '../core/records.ts';
import { readCertificate } from '../platform/tls/read.ts';
import { hasOwnName } from './names.ts';
import { loadSecurity, type Security } from './store.ts';

export interface LiveSecurity {
  /** Undefined in a plain cluster, and before start or join have made it. The same object until `reload`. */
  current(): Security | undefined;
  /** After the files were written or removed. */
  reload(): Security | undefined;
  /** PostgreSQL has taken these up, and lets in whoever counts. */
  taken(security: Security): void;
  /** What PostgreSQL shows, as `state/NAME` has it; undefined until it has taken some up. */
  inPostgres(): StateRecord['certificates'];
}

export function liveSecurity(config: NodeConfig): LiveSecurity {
  let known: Security | undefined;
  let shown: StateRecord['certificates'];
  return {
    current() {
      known ??= loadSecurity(config);
      return known;
    },
    reload() {
      known = loadSecurity(config);
      return known;
    },
    taken({ postgres }) {
      shown = hasOwnName(readCertificate(postgres.certPem).commonName) ? 'own' : 'shared';
    },
    inPostgres: () => shown,
  };
}
