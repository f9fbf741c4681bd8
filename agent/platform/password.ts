/** Passwords as they are kept in the configuration: scrypt, with their parameters and salt. */
import { Buffer } from 'node:buffer';
import { createHash, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** What is recommended today: 128 MB and some 0.4 s of one core, on purpose. */
const COST = { N: 131_072, r: 8, p: 1 } as const;
/** Bytes that one look may take. A hash that asks for more is none: it would be the machine's memory. */
const MOST = 256 * 1024 * 1024;
const MOST_ROUNDS = 16;
const LENGTH = 32;
const FORM = /^scrypt:(\d+):(\d+):(\d+):([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

function derive(password: string, salt: Buffer, length: number, options: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    scrypt(password.normalize('NFKC'), salt, length, options, (error, key) =>
      // Bun gives undefined where Node gives null.
      error ? reject(error) : resolve(key),
    ),
  );
}

/** `scrypt:N:r:p:SALT:HASH`, base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, LENGTH, { ...COST, maxmem: MOST });
  return `scrypt:${COST.N}:${COST.r}:${COST.p}:${salt.toString('base64')}:${key.toString('base64')}`;
}

const costOf = (hash: string) => {
  const [, N, r, p] = (FORM.exec(hash) ?? []).map(Number);
  return N === undefined || r === undefined || p === undefined ? undefined : { N, r, p };
};

/** Has it our form, and a cost that this machine can bear? */
export function isPasswordHash(text: string): boolean {
  const cost = costOf(text);
  return cost !== undefined && 128 * cost.N * cost.r < MOST && cost.p <= MOST_ROUNDS;
}

/** Was it made when less was recommended? Then it is to be made anew. */
export function isCheap(hash: string): boolean {
  const cost = costOf(hash);
  return cost !== undefined && cost.N * cost.r * cost.p < COST.N * COST.r * COST.p;
}

/** For a user that there is none of: nobody's password, at today's cost. */
export const NOBODY = `scrypt:${COST.N}:${COST.r}:${COST.p}:${'A'.repeat(22)}==:${'A'.repeat(43)}=`;

/** False also for a hash that is none. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const [, n, r, p, salt, wanted] = FORM.exec(hash) ?? [];
  if (salt === undefined || wanted === undefined || !isPasswordHash(hash)) return false;
  const expected = Buffer.from(wanted, 'base64');
  const options = { N: Number(n), r: Number(r), p: Number(p), maxmem: MOST };
  try {
    const key = await derive(password, Buffer.from(salt, 'base64'), expected.length, options);
    return timingSafeEqual(key, expected);
  } catch {
    return false;
  }
}

/** A bearer token and what is kept of it. It has 256 bits of chance: a plain hash cannot be searched. */
export function newBearer(): { token: string; hash: string } {
  const token = randomBytes(32).toString('base64url');
  return { token, hash: bearerHash(token) };
}

export const bearerHash = (token: string): string =>
  `sha256:${createHash('sha256').update(token).digest('hex')}`;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compares secrets, in a time that tells nothing of them: not even how long they are. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
