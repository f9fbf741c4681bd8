/**
 * The node's security as its parts ask for it at every call: read once, and again when its files were
 * written.
 */
import type { NodeConfig } from '../config/index.ts';
import type { StateRecord } from '../core/records.ts';
import { readCertificate } from '../platform/tls/read.ts';
import type { AuthorityReport } from './authority.ts';
import { hasOwnName } from './names.ts';
import { nameOfKey } from './roots.ts';
import { sealKeyOf } from './sealing.ts';
import { loadSecurity, type Security, securityStore } from './store.ts';

export interface LiveSecurity {
  /** Undefined in a plain cluster, and before start or join have made it. The same object until `reload`. */
  current(): Security | undefined;
  /** After the files were written or removed. */
  reload(): Security | undefined;
  /** PostgreSQL has taken these up, and lets in whoever counts. */
  taken(security: Security): void;
  /** What PostgreSQL shows, as `state/NAME` has it; undefined until it has taken some up. */
  inPostgres(): StateRecord['certificates'];
  /** The agent, Consul and PostgreSQL of this node all use these. */
  applied(security: Security): void;
  /** Do they? False until that is known. */
  isApplied(security: Security): boolean;
  /** What `nodes/NAME` says of roots; undefined until it is known what is in use. */
  report(): AuthorityReport | undefined;
}

export function liveSecurity(config: NodeConfig): LiveSecurity {
  let known: Security | undefined;
  let shown: StateRecord['certificates'];
  let used: Security | undefined;
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
    applied(security) {
      used = security;
    },
    isApplied: (security) => used?.stamp === security.stamp,
    report() {
      if (used === undefined || known === undefined) return undefined;
      const { roots, issuers, tls } = used;
      const [first = null] = issuers;
      return {
        trusts: roots.map(({ fingerprint }) => fingerprint),
        // As they lie in the files now: a key that is not there is in use nowhere.
        keys: securityStore(config)
          .keys()
          .map((key) => nameOfKey(key, roots)),
        shows: issuers.every((issuer) => issuer === first) ? first : null,
        seal: sealKeyOf(tls.cert),
      };
    },
  };
}
