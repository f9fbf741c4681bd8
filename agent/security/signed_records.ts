/**
 * Only what the cluster's authority has signed makes a member: the records of nodes, reservations and join tokens. Every reader checks
 * (as the gate of `viewOf`, and at each look at a token), and whoever writes one signs it: all members hold the key.
 *
 * A cluster of before has no signatures. They are demanded once the key `signed` is there, itself signed, which the active writes when
 * every member knows of it (sign_members.ts). Each agent remembers that on its own disk, so taking the key away changes nothing.
 */
import type { KeyObject } from 'node:crypto';
import type { NodeConfig } from '../config/index.ts';
import type { Gate } from '../consul/gate.ts';
import type { KvEntry } from '../consul/port.ts';
import type { View } from '../core/records.ts';
import type { Logger } from '../log/log.ts';
import type { Membership } from '../state/identity.ts';
import type { LiveSecurity } from './live.ts';
import {
  factsOf,
  isSignedBy,
  keysOf,
  type Place,
  publicKeyOf,
  type Records,
  type Signature,
  type Statement,
  signatureIn,
  signatureOf,
} from './signature.ts';
import { type SignedStore, signedStore } from './signed_memory.ts';

export interface SignedParts {
  readonly clusterId: string;
  readonly security: Pick<LiveSecurity, 'current'>;
  readonly store: SignedStore;
  /** Wall clock, ms. */
  readonly now: () => number;
  /** What is not remembered on disk, and why. */
  readonly failed: (thrown: unknown) => void;
}

export interface SignedRecords extends Gate {
  /** Do records without a signature count for nothing? */
  demanded(): boolean;
  /** The record with its signature; as it is on a node without the authority's key. */
  sign<P extends Place>(place: P, name: string, record: Records[P]): Records[P];
  /** Is it signed with the key that this node signs with? True on a node that has none: it could not do better. */
  isOurs<P extends Place>(place: P, name: string, record: Records[P]): boolean;
  /** Why it counts for nothing, and what to do; undefined: it counts. */
  refusal<P extends Place>(place: P, name: string, record: Records[P]): string | undefined;
}

const FIND = 'counts for nothing: find out who wrote it, and delete it';
const ANEW = 'its agent writes it anew; start that, or remove the node and join it again';

export function signedRecords({ clusterId, security, store, now, failed }: SignedParts): SignedRecords {
  const memory = store.load(clusterId);
  let unsaved = false;
  let epoch = 0;
  let of = security.current();
  let trusted: readonly KeyObject[] | undefined;
  /** The mark and the tombstones, by the index that was looked at. */
  const looked = new Map<string, number>();
  const newest = (name: string) => (Object.hasOwn(memory.members, name) ? memory.members[name] : undefined);

  function current() {
    const found = security.current();
    if (found !== of) {
      of = found;
      trusted = undefined;
      looked.clear();
      epoch++;
    }
    return found;
  }

  const keys = (): readonly KeyObject[] => {
    const own = current();
    trusted ??= own === undefined ? [] : keysOf([own.caPem]);
    return trusted;
  };

  const statement = <P extends Place>(
    place: P,
    name: string,
    record: Records[P],
    issued: number,
  ): Statement => ({ clusterId, place, name, issued, facts: factsOf(place, record) });

  /** The valid signature of a record; undefined: it has none. */
  function valid<P extends Place>(place: P, name: string, record: Records[P]): Signature | undefined {
    const found = signatureIn(record);
    if (found === undefined) return undefined;
    const stated = statement(place, name, record, found.issued);
    return isSignedBy(keys(), stated, found.signature) ? found : undefined;
  }

  function save(): void {
    try {
      store.save(memory);
      unsaved = false;
    } catch (thrown) {
      // What it knows it goes by; it is written with the next read.
      if (!unsaved) failed(thrown);
      unsaved = true;
    }
  }

  function remember(name: string, issued: number, gone: boolean): void {
    if (issued <= (newest(name)?.issued ?? 0)) return;
    memory.members[name] = gone ? { issued, gone } : { issued };
    if (gone) epoch++;
    save();
  }

  const demanded = (): boolean => memory.demanded && current() !== undefined;
  const isMember = (name: string): boolean => {
    const known = newest(name);
    return !demanded() || (known !== undefined && known.gone !== true);
  };

  function refusal<P extends Place>(place: P, name: string, record: Records[P]): string | undefined {
    if (current() === undefined) return undefined;
    const found = valid(place, name, record);
    if (found === undefined) {
      if (!memory.demanded) return undefined;
      const what = signatureIn(record) === undefined ? 'not signed' : 'signed for another record, or not';
      const todo = place === 'nodes' && isMember(name) ? ANEW : FIND;
      return `${what} by the cluster's authority: ${todo}`;
    }
    if (place !== 'nodes' && place !== 'joining') return undefined;
    const known = newest(name);
    const past = known?.gone === true ? known.issued : (known?.issued ?? 0) - 1;
    if (memory.demanded && found.issued <= past)
      return `older than what was signed for ${name} since, so somebody put it back: ${isMember(name) ? ANEW : FIND}`;
    if (place === 'nodes') remember(name, found.issued, false);
    return undefined;
  }

  function learn(entries: readonly KvEntry[], prefix: string): void {
    if (current() === undefined) return;
    if (unsaved) save();
    for (const { key, value, modifyIndex } of entries) {
      const [place, name = '', ...more] = key.slice(prefix.length).split('/');
      if ((place !== 'signed' && place !== 'removed') || more.length > 0) continue;
      if (looked.get(key) === modifyIndex) continue;
      looked.set(key, modifyIndex);
      const found = valid<'signed' | 'removed'>(place, name, objectIn(value));
      if (found === undefined) continue;
      if (place === 'removed') remember(name, found.issued, true);
      else if (!memory.demanded) {
        memory.demanded = true;
        epoch++;
        save();
      }
    }
  }

  return {
    demanded,
    sign(place, name, record) {
      const caKey = current()?.ca.key;
      if (!caKey) return record;
      const issued = Math.max(now(), (newest(name)?.issued ?? 0) + 1);
      return { ...record, signed: signatureOf(statement(place, name, record, issued), caKey) };
    },
    isOurs(place, name, record) {
      const caKey = current()?.ca.key;
      if (!caKey) return true;
      const found = signatureIn(record);
      if (found === undefined) return false;
      return isSignedBy([publicKeyOf(caKey)], statement(place, name, record, found.issued), found.signature);
    },
    refusal,
    stands(folder, name, record) {
      if (record === undefined || !demanded()) return record !== undefined;
      const found = valid(folder, name, record as never);
      return found !== undefined && isMember(name);
    },
    isMember,
    learn,
    epoch() {
      current();
      return epoch;
    },
  };
}

/** Empty for what is no object. */
export function objectIn(text: string): object {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null ? found : {};
  } catch {
    return {};
  }
}

/** Members whose agents do not say that they sign. Unknown is no. */
export const doNotSign = (view: Pick<View, 'nodes' | 'states'>): string[] =>
  Object.keys(view.nodes).filter((name) => view.states[name]?.signs !== true);

export const signedRecordsOf = (
  { config, security }: { readonly config: NodeConfig; readonly security: LiveSecurity },
  { clusterId }: Pick<Membership, 'clusterId'>,
  log: Pick<Logger, 'error'>,
): SignedRecords =>
  signedRecords({
    clusterId,
    security,
    store: signedStore(config),
    now: () => Date.now(),
    failed: (thrown) => log.error('what was signed is not remembered on disk:', thrown),
  });
