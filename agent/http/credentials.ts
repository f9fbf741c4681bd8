/** People over the network: Basic with a password, or a bearer token, both from the configuration. */
import { Buffer } from 'node:buffer';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { bearerHash, verifyPassword } from '../platform/password.ts';

export type Role = 'admin' | 'viewer';

export interface User {
  readonly name: string;
  readonly password_hash: string;
  readonly role: Role;
}

export interface ApiToken {
  readonly name: string;
  readonly token_hash: string;
  readonly role: Role;
}

export type Verdict =
  | { readonly kind: 'ok'; readonly name: string; readonly role: Role }
  /** `busy`: too many passwords are being tried. */
  | { readonly kind: 'none' | 'wrong' | 'busy' };

export interface Credentials {
  check(authorization: string | undefined): Promise<Verdict>;
}

export interface CredentialOptions {
  readonly users: readonly User[];
  readonly tokens: readonly ApiToken[];
  readonly now?: () => number;
}

/** A password that was right counts without a new look for this long, in ms: a page asks often, and scrypt is dear. */
const REMEMBER = 60_000;
/** Passwords waiting to be looked at. Past that, a guesser is told to come back and the agent keeps its time. */
const WAITING = 8;
/** Compared with when the name is unknown, so that names cannot be told apart by time. */
const NOBODY = `scrypt:16384:8:1:${'A'.repeat(22)}==:${'A'.repeat(43)}=`;

const same = (a: string, b: string): boolean => {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
};

export function createCredentials({
  users,
  tokens,
  now = () => performance.now(),
}: CredentialOptions): Credentials {
  const salt = randomBytes(16);
  const right = new Map<string, { user: User; until: number }>();
  let waiting = 0;
  let turn: Promise<unknown> = Promise.resolve();

  async function basic(encoded: string): Promise<Verdict> {
    const text = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 0) return { kind: 'wrong' };
    const id = createHash('sha256').update(salt).update(text).digest('hex');
    const known = right.get(id);
    if (known !== undefined && known.until > now()) return ok(known.user);
    right.delete(id);
    if (waiting >= WAITING) return { kind: 'busy' };
    waiting += 1;
    const user = users.find((one) => same(one.name, text.slice(0, colon)));
    // One at a time: a flood of guesses takes one core's share at most.
    const look = turn.then(() => verifyPassword(text.slice(colon + 1), user?.password_hash ?? NOBODY));
    turn = look.catch(() => {});
    const fits = await look.finally(() => {
      waiting -= 1;
    });
    if (!fits || user === undefined) return { kind: 'wrong' };
    for (const [key, { until }] of right) if (until <= now()) right.delete(key);
    right.set(id, { user, until: now() + REMEMBER });
    return ok(user);
  }

  return {
    async check(authorization) {
      const [, scheme, value] = /^(\S+)\s+(\S+)$/.exec(authorization ?? '') ?? [];
      if (scheme === undefined || value === undefined) return { kind: 'none' };
      if (scheme.toLowerCase() === 'basic') return basic(value);
      if (scheme.toLowerCase() !== 'bearer') return { kind: 'wrong' };
      const hash = bearerHash(value);
      const token = tokens.find((one) => same(one.token_hash, hash));
      return token === undefined ? { kind: 'wrong' } : ok(token);
    },
  };
}

const ok = ({ name, role }: { name: string; role: Role }): Verdict => ({ kind: 'ok', name, role });
