/**
 * One node's part in a new authority (authority.ts): what is next for it, from the record and from its own
 * files, and doing it.
 */
import type { NodeConfig } from '../config/index.ts';
import { keyFits } from '../platform/tls/read.ts';
import { type AuthorityRecord, type Held, nextStep, type Step, wantedRoots } from './authority.ts';
import type { LiveSecurity } from './live.ts';
import { renewCertificates } from './renew.ts';
import { isVouched, nameOfKey, type Root, rootOf } from './roots.ts';
import { unsealOwn } from './sealing.ts';
import { type Security, type SecurityStore, securityStore } from './store.ts';

export interface FollowParts {
  readonly config: NodeConfig;
  readonly security: Pick<LiveSecurity, 'current' | 'reload' | 'applied' | 'isApplied'>;
  /** Everything on this node uses these from now on; resolves with what failed, by name (`applyRenewal`). */
  readonly apply: (security: Security) => Promise<readonly string[]>;
  /** May its certificates have a name per service? */
  readonly ownNames: () => boolean;
}

export interface Followed {
  /** What was done, in order. */
  readonly did: readonly Step[];
  /** Why it does not go on, for the log; null: it is where this phase brings it. */
  readonly stuck: string | null;
}

function heldBy(security: Security, store: SecurityStore, fresh: Root, inUse: boolean): Held {
  const { roots, ca, issuers } = security;
  const names = [...roots, fresh];
  return {
    fresh: fresh.fingerprint,
    roots: roots.map(({ fingerprint }) => fingerprint),
    keys: store.keys().map((key) => nameOfKey(key, names)),
    signing: ca.key === '' ? '' : nameOfKey(ca.key, names),
    issuers,
    inUse,
  };
}

/** Resolves with why it cannot be done now; null: done. */
type Doing = (o: {
  record: AuthorityRecord;
  fresh: Root;
  store: SecurityStore;
  security: Security;
  parts: FollowParts;
}) => Promise<string | null>;

const isKeyOf =
  (root: Root) =>
  (key: string): boolean =>
    keyFits(root.certificate, key);

const doing: Record<Step, Doing> = {
  async trust({ record, fresh, store, security }) {
    const old = security.roots.find(({ fingerprint }) => fingerprint === record.old);
    if (old === undefined)
      return 'neither the new root nor the one before it is trusted here: remove this node and join it again';
    if (!isVouched(old, fresh.certificate, record.vouched))
      return 'the new root in Consul is not signed by the old authority: it is not accepted';
    store.saveRoots([...security.roots, fresh]);
    return null;
  },
  async key({ record, fresh, store, security, parts }) {
    const box = record.sealed[parts.config.node_name]?.box;
    const key = box === undefined ? undefined : await unsealOwn(security.tls.key, box);
    if (key === undefined) return 'the key of the new root was not sealed for this node yet';
    if (!keyFits(fresh.certificate, key))
      return 'what was sealed for this node is not the key of the new root';
    store.saveKeys(security.ca.key, [...store.keys().slice(1), key]);
    return null;
  },
  async sign({ fresh, store, security }) {
    const key = store.keys().find(isKeyOf(fresh));
    if (key === undefined) return 'the key of the new root is gone';
    store.saveKeys(
      key,
      store.keys().filter((one) => one !== key),
    );
    store.saveRoots([
      fresh,
      ...security.roots.filter(({ fingerprint }) => fingerprint !== fresh.fingerprint),
    ]);
    return null;
  },
  async certify({ parts }) {
    await renewCertificates(parts.config, { ownNames: parts.ownNames() });
    return null;
  },
  async drop({ record, fresh, store, security }) {
    const wanted = wantedRoots(record, fresh.fingerprint);
    store.saveRoots(security.roots.filter(({ fingerprint }) => wanted.includes(fingerprint)));
    return null;
  },
  async forget({ store, fresh, record, security }) {
    const kept = [...security.roots, fresh].filter(({ fingerprint }) =>
      wantedRoots(record, fresh.fingerprint).includes(fingerprint),
    );
    const [signing = '', ...others] = store.keys();
    store.saveKeys(
      signing,
      others.filter((key) => kept.some((root) => isKeyOf(root)(key))),
    );
    return null;
  },
  async apply({ security, parts }) {
    const failed = await parts.apply(security);
    if (failed.length > 0) return failed.join('; ');
    parts.security.applied(security);
    return null;
  },
};

/**
 * Does what this node has to do in the record's phase, all of it or as far as it gets. Idempotent; broken off
 * anywhere it is begun again. Throws what writing files throws.
 */
export async function followAuthority(record: AuthorityRecord, parts: FollowParts): Promise<Followed> {
  const store = securityStore(parts.config);
  const fresh = rootOf(record.certificate);
  const did: Step[] = [];
  for (;;) {
    const security = parts.security.current();
    if (security === undefined) return { did, stuck: null };
    const step = nextStep(record, heldBy(security, store, fresh, parts.security.isApplied(security)));
    if (step === null) return { did, stuck: null };
    const stuck = await doing[step]({ record, fresh, store, security, parts });
    if (stuck !== null) return { did, stuck };
    did.push(step);
    if (step !== 'apply') parts.security.reload();
  }
}
