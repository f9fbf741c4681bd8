import type { LiveSecurity } from '../../agent/security/live.ts';
import type { Secrets, SecurityStore } from '../../agent/security/store.ts';

/**
 * A node's secrets kept in memory, and a security that has no certificates, for what follows the cluster's
 * shared secrets.
 */
export function secretsInMemory(first: Secrets, saved: () => void = () => {}) {
  let secrets = first;
  const store: Pick<SecurityStore, 'secrets' | 'saveSecrets'> = {
    secrets: () => secrets,
    saveSecrets(next) {
      secrets = next;
      saved();
    },
  };
  const security: LiveSecurity = {
    current: () => undefined,
    reload: () => undefined,
    taken: () => {},
    inPostgres: () => undefined,
    applied: () => {},
    isApplied: () => false,
    report: () => undefined,
  };
  return { store, security, secrets: () => secrets };
}
