/** People over the network: Basic with a password, or a bearer token, both from the configuration. */
import { Buffer } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import {
  bearerHash,
  hashPassword,
  isCheap,
  NOBODY,
  sameSecret,
  verifyPassword,
} from '../platform/password.ts';
import { oneAtATime } from './one_at_a_time.ts';
import { counted, createSlowdown, networkOf } from './slowdown.ts';

export type UserRole = 'admin' | 'viewer';

export interface User {
  readonly name: string;
  readonly password_hash: string;
  readonly role: UserRole;
}

export interface ApiToken {
  readonly name: string;
  readonly token_hash: string;
  readonly role: UserRole;
}

export type LoginVerdict =
  | { readonly kind: 'ok'; readonly name: string; readonly role: UserRole }
  | { readonly kind: 'none' }
  /** `name`: who it claims to be. */
  | { readonly kind: 'wrong'; readonly name?: string }
  /** Not looked at: too many passwords are being tried. */
  | { readonly kind: 'busy'; readonly name: string }
  /** Not looked at: too many were wrong from there, or for that name. Ms until one may come. */
  | { readonly kind: 'slowed'; readonly name?: string; readonly wait: number };

export interface Credentials {
  /** `from`: the address that the connection comes from. */
  check(authorization: string | undefined, from?: string): Promise<LoginVerdict>;
}

export interface CredentialOptions {
  readonly users: readonly User[];
  readonly tokens: readonly ApiToken[];
  readonly now?: () => number;
  /**
   * A user whose hash in the configuration was made when less was recommended, told once, at a right
   * password.
   */
  readonly onCheap?: (name: string) => void;
  /** How one password is looked at. */
  readonly verify?: typeof verifyPassword;
}

/**
 * A password that was right counts without a new look for this long, in ms: a page asks often, and scrypt is
 * dear.
 */
const REMEMBER = 60_000;
/**
 * Wrong bearer tokens of one address: nobody guesses one, so this only keeps the log readable. A right one is
 * never slowed.
 */
const BEARERS = { free: 5, most: 60_000 };

const ok = ({ name, role }: { name: string; role: UserRole }): LoginVerdict => ({ kind: 'ok', name, role });

/** Looks at one password. Takes as long for a name that there is none of, and for a hash of a lower cost. */
function looker(users: readonly User[], onCheap: (name: string) => void, verify: typeof verifyPassword) {
  /** Hashes at today's cost in place of those in the configuration, which is root's to change. */
  const anew = new Map<string, string>();
  return async (name: string, password: string): Promise<User | undefined> => {
    const user = users.find((one) => sameSecret(one.name, name));
    const hash = user === undefined ? NOBODY : (anew.get(user.name) ?? user.password_hash);
    const fits = await verify(password, hash);
    if (!isCheap(hash)) return fits ? user : undefined;
    if (fits && user !== undefined) {
      // Short of memory it is done at another login; this one was right.
      const better = await hashPassword(password).catch(() => undefined);
      if (better !== undefined) anew.set(user.name, better);
      onCheap(user.name);
      return user;
    }
    await verify(password, NOBODY);
    return undefined;
  };
}

export function createCredentials({
  users,
  tokens,
  now = () => performance.now(),
  onCheap = () => {},
  verify = verifyPassword,
}: CredentialOptions): Credentials {
  const salt = randomBytes(16);
  const right = new Map<string, { user: User; until: number }>();
  /** A page sends several requests at once: the same password from the same place is looked at once. */
  const under = new Map<string, Promise<LoginVerdict>>();
  const slowdown = createSlowdown(now);
  const bearers = counted(BEARERS, now);
  const line = oneAtATime();
  const look = looker(users, onCheap, verify);

  function remembered(id: string): User | undefined {
    for (const [key, { until }] of right) if (until <= now()) right.delete(key);
    return right.get(id)?.user;
  }

  async function tried(id: string, name: string, password: string, from: string): Promise<LoginVerdict> {
    const attempt = slowdown.begin(from, name);
    if ('wait' in attempt) return { kind: 'slowed', name, wait: attempt.wait };
    const looked = line.run(networkOf(from), attempt.known, () => look(name, password));
    if (looked === undefined) {
      attempt.dropped();
      return { kind: 'busy', name };
    }
    const user = await looked;
    if (user === undefined) {
      attempt.wrong();
      return { kind: 'wrong', name };
    }
    attempt.right();
    right.set(id, { user, until: now() + REMEMBER });
    return ok(user);
  }

  async function basic(encoded: string, from: string): Promise<LoginVerdict> {
    const text = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 0) return { kind: 'wrong' };
    const name = text.slice(0, colon);
    const id = createHash('sha256').update(salt).update(text).digest('hex');
    const user = remembered(id);
    if (user !== undefined) {
      slowdown.seen(from, name);
      return ok(user);
    }
    const key = `${id} ${networkOf(from)}`;
    const going = under.get(key);
    if (going !== undefined) return await going;
    const verdict = tried(id, name, text.slice(colon + 1), from);
    under.set(key, verdict);
    try {
      return await verdict;
    } finally {
      under.delete(key);
    }
  }

  function bearer(value: string, from: string): LoginVerdict {
    const hash = bearerHash(value);
    const token = tokens.find((one) => sameSecret(one.token_hash, hash));
    if (token !== undefined) return ok(token);
    const network = networkOf(from);
    const wait = bearers.wait(network);
    if (wait > 0) return { kind: 'slowed', wait };
    bearers.failed(network);
    return { kind: 'wrong' };
  }

  return {
    async check(authorization, from = 'unknown') {
      const [, scheme, value] = /^(\S+)\s+(\S+)$/.exec(authorization ?? '') ?? [];
      if (scheme === undefined || value === undefined) return { kind: 'none' };
      if (scheme.toLowerCase() === 'basic') return await basic(value, from);
      return scheme.toLowerCase() === 'bearer' ? bearer(value, from) : { kind: 'wrong' };
    },
  };
}
