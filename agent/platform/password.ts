/** Passwords as they are kept in the configuration: scrypt, with their parameters and salt. */
import { Buffer } from 'node:buffer';
import { createHash, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

const COST = { N: 16_384, r: 8, p: 1 } as const;
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

/** `scrypt:N:r:p:SALT:HASH`, base64. Some 30 ms of one core, on purpose. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, LENGTH, COST);
  return `scrypt:${COST.N}:${COST.r}:${COST.p}:${salt.toString('base64')}:${key.toString('base64')}`;
}

export const isPasswordHash = (text: string): boolean => FORM.test(text);

/** False also for a hash that is none. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const [, n, r, p, salt, wanted] = FORM.exec(hash) ?? [];
  if (salt === undefined || wanted === undefined) return false;
  const expected = Buffer.from(wanted, 'base64');
  const options = { N: Number(n), r: Number(r), p: Number(p), maxmem: 256 * 1024 * 1024 };
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
