/**
 * Only what the cluster's authority has signed makes a member: the records of nodes, reservations and join
 * tokens. Every reader checks (as the gate of `viewOf`, and at each look at a token), and whoever writes one
 * signs it: all members hold the key.
 *
 * A cluster of before has no signatures. They are demanded once the key `signed` is there, itself signed,
 * which the active writes when every member knows of it (sign_members.ts). Each agent remembers that on its
 * own disk, so taking the key away changes nothing.
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
  /**
   * Is it signed with the key that this node signs with? True on a node that has none: it could not do
   * better.
   */
  isOurs<P extends Place>(place: P, name: string, record: Records[P]): boolean;
  /** Why it counts for nothing, and what to do; undefined: it counts. */
  refusal<P extends Place>(place: P, name: string, record: Records[P]): string | undefined;
}

const FIND = 'it is ignored: find out who wrote it, and delete it';
const ANEW = 'its agent writes it again; start that, or remove the node and join it again';

export const signedRecords = (parts: SignedParts): SignedRecords => new AuthoritySignatures(parts);

class AuthoritySignatures implements SignedRecords {
  readonly #parts: SignedParts;
  readonly #memory: ReturnType<SignedStore['load']>;
  #unsaved = false;
  #epoch = 0;
  #of: ReturnType<LiveSecurity['current']>;
  #trusted: readonly KeyObject[] | undefined;
  /** The mark and the tombstones, by the index that was looked at. */
  readonly #looked = new Map<string, number>();

  constructor(parts: SignedParts) {
    this.#parts = parts;
    this.#memory = parts.store.load(parts.clusterId);
    this.#of = parts.security.current();
  }

  demanded(): boolean {
    return this.#memory.demanded && this.#current() !== undefined;
  }

  sign<P extends Place>(place: P, name: string, record: Records[P]): Records[P] {
    const caKey = this.#current()?.ca.key;
    if (!caKey) return record;
    const issued = Math.max(this.#parts.now(), (this.#newest(name)?.issued ?? 0) + 1);
    return { ...record, signed: signatureOf(this.#statement(place, name, record, issued), caKey) };
  }

  isOurs<P extends Place>(place: P, name: string, record: Records[P]): boolean {
    const caKey = this.#current()?.ca.key;
    if (!caKey) return true;
    const found = signatureIn(record);
    if (found === undefined) return false;
    const stated = this.#statement(place, name, record, found.issued);
    return isSignedBy([publicKeyOf(caKey)], stated, found.signature);
  }

  refusal<P extends Place>(place: P, name: string, record: Records[P]): string | undefined {
    if (this.#current() === undefined) return undefined;
    const { demanded } = this.#memory;
    const found = this.#valid(place, name, record);
    if (found === undefined) {
      if (!demanded) return undefined;
      const what = signatureIn(record) === undefined ? 'not signed' : 'signed for another record, or not';
      const todo = place === 'nodes' && this.isMember(name) ? ANEW : FIND;
      return `${what} by the cluster's authority: ${todo}`;
    }
    if (place !== 'nodes' && place !== 'joining') return undefined;
    const known = this.#newest(name);
    const past = known?.gone === true ? known.issued : (known?.issued ?? 0) - 1;
    if (demanded && found.issued <= past)
      return `older than what was signed for ${name} since, so somebody put it back: ${this.isMember(name) ? ANEW : FIND}`;
    if (place === 'nodes') this.#remember(name, found.issued, false);
    return undefined;
  }

  stands(...[folder, name, record]: Parameters<Gate['stands']>): boolean {
    if (record === undefined || !this.demanded()) return record !== undefined;
    const found = this.#valid(folder, name, record as never);
    return found !== undefined && this.isMember(name);
  }

  isMember(name: string): boolean {
    const known = this.#newest(name);
    return !this.demanded() || (known !== undefined && known.gone !== true);
  }

  learn(entries: readonly KvEntry[], prefix: string): void {
    if (this.#current() === undefined) return;
    if (this.#unsaved) this.#save();
    for (const { key, value, modifyIndex } of entries) {
      const [place, name = '', ...more] = key.slice(prefix.length).split('/');
      if ((place !== 'signed' && place !== 'removed') || more.length > 0) continue;
      if (this.#looked.get(key) === modifyIndex) continue;
      this.#looked.set(key, modifyIndex);
      const found = this.#valid<'signed' | 'removed'>(place, name, objectIn(value));
      if (found === undefined) continue;
      if (place === 'removed') this.#remember(name, found.issued, true);
      else this.#demand();
    }
  }

  epoch(): number {
    this.#current();
    return this.#epoch;
  }

  #newest(name: string) {
    const { members } = this.#memory;
    return Object.hasOwn(members, name) ? members[name] : undefined;
  }

  #current() {
    const found = this.#parts.security.current();
    if (found !== this.#of) {
      this.#of = found;
      this.#trusted = undefined;
      this.#looked.clear();
      this.#epoch++;
    }
    return found;
  }

  #keys(): readonly KeyObject[] {
    const own = this.#current();
    this.#trusted ??= own === undefined ? [] : keysOf([own.caPem]);
    return this.#trusted;
  }

  #statement<P extends Place>(place: P, name: string, record: Records[P], issued: number): Statement {
    return { clusterId: this.#parts.clusterId, place, name, issued, facts: factsOf(place, record) };
  }

  /** The valid signature of a record; undefined: it has none. */
  #valid<P extends Place>(place: P, name: string, record: Records[P]): Signature | undefined {
    const found = signatureIn(record);
    if (found === undefined) return undefined;
    const stated = this.#statement(place, name, record, found.issued);
    return isSignedBy(this.#keys(), stated, found.signature) ? found : undefined;
  }

  #save(): void {
    try {
      this.#parts.store.save(this.#memory);
      this.#unsaved = false;
    } catch (thrown) {
      // What it knows it goes by; it is written with the next read.
      if (!this.#unsaved) this.#parts.failed(thrown);
      this.#unsaved = true;
    }
  }

  #remember(name: string, issued: number, gone: boolean): void {
    if (issued <= (this.#newest(name)?.issued ?? 0)) return;
    this.#memory.members[name] = gone ? { issued, gone } : { issued };
    if (gone) this.#epoch++;
    this.#save();
  }

  #demand(): void {
    if (this.#memory.demanded) return;
    this.#memory.demanded = true;
    this.#epoch++;
    this.#save();
  }
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
