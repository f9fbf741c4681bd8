/**
 * A new certificate authority for a cluster that lives. Pure: what is written down, what one node has to do
 * next, and when the cluster may go on. Nothing is remembered but the record in Consul, what each node has in
 * its files, and what each says of itself; so whoever breaks off anywhere goes on by asking again.
 *
 * `trust`: every node trusts both roots and holds both keys. `renew`: every node makes its certificates anew,
 * from the new root. `drop`: the old root is trusted nowhere, and its key is gone.
 */
import * as v from 'valibot';
import { hash, shortText } from '../config/member.ts';

export const PHASES = ['trust', 'renew', 'drop'] as const;
export type Phase = (typeof PHASES)[number];

const base64 = (most: number) =>
  v.pipe(v.string(), v.maxLength(most), v.regex(/^[A-Za-z0-9+/]+={0,2}$/, 'must be base64'));

/** The key `authority` in Consul. The last one stays: it says which root counts. */
export const authorityRecord = v.looseObject({
  schema: v.literal(1),
  phase: v.picklist(PHASES),
  /** Fingerprint of the root before. */
  old: hash(),
  /** The new root, PEM. */
  certificate: v.pipe(v.string(), v.maxLength(8192)),
  /** The old authority's word for it (roots.ts). */
  vouched: base64(512),
  /**
   * The new key, for each member alone: sealed for the public key whose hash is `to` (sealing.ts). Empty once
   * it is through.
   */
  sealed: v.record(v.string(), v.object({ to: hash(), box: base64(2048) })),
  /** Stay in `trust` until somebody asks to go on. */
  hold: v.optional(v.boolean()),
  by: shortText(),
  /** When it was begun, ISO. */
  at: shortText(),
});
export type AuthorityRecord = v.InferOutput<typeof authorityRecord>;

/** `authority` in `nodes/NAME`: what is in use on that node, all of it. Fingerprints of roots. */
export const authorityReport = v.looseObject({
  /** Trusted by its agent, its Consul and its PostgreSQL; the one that signs there comes first. */
  trusts: v.pipe(v.array(hash()), v.maxLength(8)),
  /** Whose keys it holds. */
  keys: v.pipe(v.array(hash()), v.maxLength(8)),
  /** The one that its certificates come from; null: not all from one. */
  shows: v.nullable(hash()),
  /** What is meant for it alone is sealed for this key. */
  seal: base64(512),
});
export type AuthorityReport = v.InferOutput<typeof authorityReport>;

/** Undefined for none, and for what is none. */
export const reportIn = (value: unknown): AuthorityReport | undefined => {
  const read = v.safeParse(authorityReport, value);
  return read.success ? read.output : undefined;
};

/** What a node has. Fingerprints; `fresh` is the new root's, of the record. */
export interface Held {
  readonly fresh: string;
  readonly roots: readonly string[];
  readonly keys: readonly string[];
  /** Whose key signs here; '' on a node that is not enrolled. */
  readonly signing: string;
  /**
   * Where each certificate comes from; null where it comes from none of the roots, or its key does not fit.
   */
  readonly issuers: readonly (string | null)[];
  /** Does everything on this node use what is in its files? */
  readonly inUse: boolean;
}

/**
 * `trust`: add the root. `key`: unseal the new key. `sign`: let the new one sign here. `certify`: new
 * certificates. `drop`: the other roots. `forget`: the other keys. `apply`: tell what uses them.
 */
export type Step = 'trust' | 'key' | 'sign' | 'certify' | 'drop' | 'forget' | 'apply';

/**
 * What this node does next; null: nothing, for this phase. Each step may be repeated, and broken off
 * anywhere.
 */
export function nextStep({ phase, old }: Pick<AuthorityRecord, 'phase' | 'old'>, held: Held): Step | null {
  const { fresh, roots, keys, signing, issuers, inUse } = held;
  const apply = inUse ? null : 'apply';
  if (!roots.includes(fresh)) return 'trust';
  // Not enrolled: it signs nothing, and while there is such a one nobody goes on.
  if (signing === '') return apply;
  if (!keys.includes(fresh)) return inUse ? 'key' : 'apply';
  if (phase === 'trust') return roots.every((root) => root === fresh || root === old) ? apply : 'drop';
  if (signing !== fresh) return 'sign';
  if (issuers.some((issuer) => issuer !== fresh)) return 'certify';
  const wanted = phase === 'drop' ? [fresh] : [fresh, old];
  if (roots.some((root) => !wanted.includes(root))) return 'drop';
  // The key outlives the root by a moment at most: nobody here trusts what it signs.
  if (keys.some((key) => !wanted.includes(key))) return inUse ? 'forget' : 'apply';
  return apply;
}

/** The roots that are trusted once `drop` was done in this phase. */
export const wantedRoots = (
  { phase, old }: Pick<AuthorityRecord, 'phase' | 'old'>,
  fresh: string,
): string[] => (phase === 'drop' ? [fresh] : [fresh, old]);

export interface AuthorityMember {
  readonly name: string;
  /** Admitted, and no member yet. */
  readonly joining?: boolean;
  /** It is being removed. */
  readonly leaving?: boolean;
  /** Of its agent, as its record says; undefined for none that counts. */
  readonly version?: string | undefined;
  readonly report: AuthorityReport | undefined;
}

export interface Wait {
  readonly node: string;
  readonly why: string;
  /** Whoever waits a little sees it go away by itself. */
  readonly soon?: true;
}

const same = (one: readonly string[], other: string): boolean => one.length === 1 && one[0] === other;

function lacks(phase: Phase, fresh: string, { joining, leaving, report }: AuthorityMember): string | null {
  if (joining === true) return phase === 'drop' ? null : 'is still joining';
  if (leaving === true) return phase === 'drop' ? null : 'is being removed';
  if (report === undefined) return 'does not say which roots it trusts';
  const { trusts, keys, shows } = report;
  if (phase === 'trust') {
    if (!trusts.includes(fresh)) return 'does not trust the new root yet';
    return keys.includes(fresh) ? null : 'does not have the key of the new root yet';
  }
  if (phase === 'renew') return shows === fresh ? null : 'has no certificates of the new root yet';
  if (!same(trusts, fresh)) return 'has not dropped the old root yet';
  return same(keys, fresh) ? null : 'has not destroyed the old key yet';
}

/**
 * Who is not where this phase is to bring everybody; none: the next one may begin, or after `drop` it is
 * done.
 */
export const waitsFor = (phase: Phase, fresh: string, members: readonly AuthorityMember[]): Wait[] =>
  members.flatMap((member) => {
    const why = lacks(phase, fresh, member);
    return why === null ? [] : [{ node: member.name, why }];
  });

export const phaseAfter = (phase: Phase): Phase => (phase === 'trust' ? 'renew' : 'drop');

/** A record says it once its agent has looked at it, ten seconds after it joined at the latest. */
function silentOf(version: string, { name, version: its }: AuthorityMember): Wait {
  const why = 'does not say which roots it trusts';
  if (its === undefined) return { node: name, why: `${why}: its record in Consul does not count` };
  if (its === version) return { node: name, why: `${why} yet`, soon: true };
  return { node: name, why: `${why}: its agent is ${its}, this one ${version}` };
}

/**
 * Whom one is not begun over: who would not take part, and who is not through the last one. `current`: the
 * root that counts; `version`: of the agent here.
 */
export const notReady = (current: string, members: readonly AuthorityMember[], version: string): Wait[] =>
  members.flatMap((member) => {
    const { name, joining, report } = member;
    if (joining === true) return [{ node: name, why: 'is still joining' }];
    if (report === undefined) return [silentOf(version, member)];
    return report.shows === current ? [] : [{ node: name, why: 'has certificates of another root' }];
  });
