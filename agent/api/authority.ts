/** The cluster's certificate authority, as people see it. Fingerprints of roots are SHA-256, hexadecimal. */
export interface AuthorityStatus {
  /**
   * `trust`, `renew`, `drop` while a new one goes round (agent/security/authority.ts); `done`: one root
   * counts.
   */
  readonly phase: 'trust' | 'renew' | 'drop' | 'done';
  /** The one that counts, or will. */
  readonly root: string;
  /** The one before; null: there was none. */
  readonly old: string | null;
  /** It stays in `trust` until it is asked to go on. */
  readonly hold: boolean;
  readonly by: string | null;
  /** ISO. */
  readonly since: string | null;
  /** What each says of itself; null: it does not say. The first root of `trusts` signs there. */
  readonly nodes: readonly {
    readonly name: string;
    readonly trusts: readonly string[] | null;
    readonly keys: readonly string[] | null;
    readonly shows: string | null;
    readonly joining: boolean;
    readonly silent: boolean;
  }[];
  /** Who holds the phase up. */
  readonly waits: readonly { readonly node: string; readonly why: string; readonly silent: boolean }[];
  /** What to do about it; null: it goes on by itself, or is done. */
  readonly next: string | null;
}
