/**
 * Join tokens. One lets one manager in, once, until it expires: `ID.SECRET.FINGERPRINT`. Consul's key
 * `tokens/ID` has the hash of the secret and who used it; the fingerprint is the cluster authority's, by
 * which the joiner knows whom it talks to.
 */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import type { ConsulKv, KvEntry, Unknown } from '../consul/port.ts';
import { AgentError } from '../errors.ts';
import { sameSecret } from '../platform/password.ts';
import type { ParsedToken } from './join_token.ts';
import type { SignedRecords } from './signed_records.ts';
import { hashOf } from './store.ts';

const record = v.looseObject({
  schema: v.literal(1),
  hash: v.string(),
  /** Milliseconds since 1970. */
  created: v.number(),
  expires: v.number(),
  by: v.string(),
  used: v.nullable(
    v.object({ node: v.string(), hostIp: v.string(), key: v.string(), at: v.number(), entered: v.boolean() }),
  ),
});
export type TokenRecord = v.InferOutput<typeof record>;

export interface TokenRow {
  readonly id: string;
  /** ISO times. */
  readonly created: string;
  readonly expires: string;
  readonly by: string;
  /** `unsigned`: it lets nobody in, and no agent of this cluster made it. */
  readonly state: 'open' | 'used' | 'expired' | 'unsigned';
  readonly usedBy: string | null;
}

/** Who wants to use a token. `key`: hash of its certificate request, which the same joiner shows again. */
export interface Joiner {
  readonly node: string;
  readonly hostIp: string;
  readonly key: string;
}

/**
 * For this long after its first use the same joiner may use its token again, in milliseconds: an interrupted
 * join.
 */
export const REPEAT = 15 * 60_000;

const ID = /^[a-f0-9]{8}$/;

const refuse = (code: string, message: string, hint: string) =>
  new AgentError({ class: 'operator', code, message, hint });
const ANOTHER = "make another with 'agent cluster token create' on a node of the cluster";

export interface TokenPlace {
  readonly kv: ConsulKv;
  /** Of all keys, with a slash at its end. */
  readonly prefix: string;
  readonly now: () => number;
  /** Left out: a cluster whose tokens need no signature. */
  readonly records?: Pick<SignedRecords, 'sign' | 'refusal' | 'isOurs'> | undefined;
}

const unknown = ({ cause }: Unknown) =>
  new AgentError({
    class: 'transient',
    code: 'consul_unknown',
    message: `Consul did not answer (${cause.code})`,
    hint: 'run the command again',
  });

export const joinTokens = (parts: TokenPlace) => new Tokens(parts);

class Tokens {
  readonly #parts: TokenPlace;

  constructor(parts: TokenPlace) {
    this.#parts = parts;
  }

  /** The token's text is shown here and never again. `fingerprint`: of the authority, hexadecimal. */
  async create(ttlMs: number, by: string, fingerprint: string): Promise<{ token: string; row: TokenRow }> {
    const id = randomBytes(4).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    const made: TokenRecord = {
      schema: 1,
      hash: hashOf(secret),
      created: this.#parts.now(),
      expires: this.#parts.now() + ttlMs,
      by,
      used: null,
    };
    const done = await this.#parts.kv.put(this.#keyOf(id), this.#textOf(id, made), { cas: 0 });
    if (done.kind === 'unknown') throw unknown(done);
    if (done.kind === 'conflict') throw refuse('token_not_made', 'that id is taken', 'try again');
    const pin = Buffer.from(fingerprint, 'hex').toString('base64url');
    return { token: `${id}.${secret}.${pin}`, row: rowOf(id, made, this.#parts.now(), true) };
  }

  async list(): Promise<TokenRow[]> {
    return (await this.#all()).map(({ id, found }) =>
      rowOf(id, found, this.#parts.now(), this.#counts(id, found)),
    );
  }

  /** False: there was no such token. */
  async revoke(id: string): Promise<boolean> {
    if ((await this.#load(id)) === undefined) return false;
    const done = await this.#parts.kv.delete(this.#keyOf(id));
    if (done.kind === 'unknown') throw unknown(done);
    return true;
  }

  /**
   * Whoever cannot show a token is told nothing else. Takes nothing. Throws `token_invalid` (operator),
   * `consul_unknown`.
   */
  async check(token: Pick<ParsedToken, 'id' | 'secret'>): Promise<void> {
    await this.#known(token);
  }

  /**
   * Takes the token for this joiner by compare-and-set: of two, one gets it. The same joiner gets it again
   * within `REPEAT`, until it has entered. Resolves with the life it was made with, ms. Throws
   * `token_invalid`, `token_expired`, `token_used` (operator), `consul_unknown` (transient).
   */
  async use(token: Pick<ParsedToken, 'id' | 'secret'>, joiner: Joiner): Promise<number> {
    for (;;) {
      const found = await this.#known(token);
      const { created, expires } = found.record;
      if (hasTaken(found.record, joiner, this.#parts.now())) return expires - created;
      const taken: TokenRecord = {
        ...found.record,
        used: { ...joiner, at: this.#parts.now(), entered: false },
      };
      const done = await this.#parts.kv.put(this.#keyOf(token.id), this.#textOf(token.id, taken), {
        cas: found.index,
      });
      if (done.kind === 'ok') return expires - created;
      // Whether it was this one or another that got it, the next look tells.
      if (done.kind === 'unknown') throw unknown(done);
    }
  }

  /** The joiner is a node now: its token is spent for good, also for itself. */
  async spend(node: string): Promise<void> {
    for (const { id, found, index } of await this.#all()) {
      if (found.used?.node !== node || found.used.entered || !this.#counts(id, found)) continue;
      const spent: TokenRecord = { ...found, used: { ...found.used, entered: true } };
      await this.#parts.kv.put(this.#keyOf(id), this.#textOf(id, spent), { cas: index });
    }
  }

  /** Those that count and are not signed by the authority of today. False: not known to be done. */
  async signAll(): Promise<boolean> {
    const got = await this.#parts.kv.recurse(this.#keyOf(''));
    if (got.kind === 'unknown') return false;
    for (const { id, found, index } of this.#readable(got.entries)) {
      if (this.#parts.records?.isOurs('tokens', id, found) !== false) continue;
      if (!this.#counts(id, found) || this.#parts.now() >= found.expires) continue;
      const done = await this.#parts.kv.put(this.#keyOf(id), this.#textOf(id, found), { cas: index });
      if (done.kind !== 'ok') return false;
    }
    return true;
  }

  #keyOf(id: string): string {
    return `${this.#parts.prefix}tokens/${id}`;
  }

  #textOf(id: string, made: TokenRecord): string {
    return JSON.stringify(this.#parts.records?.sign('tokens', id, made) ?? made);
  }

  #counts(id: string, found: TokenRecord): boolean {
    return this.#parts.records?.refusal('tokens', id, found) === undefined;
  }

  async #load(id: string): Promise<{ record: TokenRecord; index: number } | undefined> {
    // It becomes part of a key: whatever is none of ours is none at all.
    if (!ID.test(id)) return undefined;
    const got = await this.#parts.kv.get(this.#keyOf(id), { consistency: 'consistent' });
    if (got.kind === 'unknown') throw unknown(got);
    if (got.kind === 'absent') return undefined;
    const read = v.safeParse(record, jsonOf(got.entry.value));
    return read.success ? { record: read.output, index: got.entry.modifyIndex } : undefined;
  }

  /** Those that can be read. */
  #readable(entries: readonly KvEntry[]) {
    return entries.flatMap(({ key, value, modifyIndex: index }) => {
      const read = v.safeParse(record, jsonOf(value));
      return read.success ? [{ id: key.slice(this.#keyOf('').length), found: read.output, index }] : [];
    });
  }

  async #all() {
    const got = await this.#parts.kv.recurse(this.#keyOf(''));
    if (got.kind === 'unknown') throw unknown(got);
    return this.#readable(got.entries);
  }

  /** The record of a token whose secret is right. */
  async #known({ id, secret }: Pick<ParsedToken, 'id' | 'secret'>) {
    const found = await this.#load(id);
    if (
      found !== undefined &&
      this.#counts(id, found.record) &&
      sameSecret(found.record.hash, hashOf(secret))
    )
      return found;
    throw refuse('token_invalid', 'there is no such join token here: it was altered or revoked', ANOTHER);
  }
}
export type JoinTokens = ReturnType<typeof joinTokens>;

/** Has this joiner taken it already, and may go on with it? Throws `token_used` or `token_expired`. */
function hasTaken({ used, expires }: TokenRecord, joiner: Joiner, now: number): boolean {
  const own = used?.node === joiner.node && used.key === joiner.key && !used.entered;
  if (own && now - used.at <= REPEAT) return true;
  if (used !== null)
    throw refuse('token_used', `this join token was used already, by ${used.node} (${used.hostIp})`, ANOTHER);
  if (now >= expires)
    throw refuse('token_expired', `this join token expired at ${new Date(expires).toISOString()}`, ANOTHER);
  return false;
}

function rowOf(
  id: string,
  { created, expires, by, used }: TokenRecord,
  now: number,
  counts: boolean,
): TokenRow {
  const state = !counts ? 'unsigned' : used !== null ? 'used' : now >= expires ? 'expired' : 'open';
  const iso = (ms: number) => new Date(ms).toISOString();
  return { id, created: iso(created), expires: iso(expires), by, state, usedBy: used?.node ?? null };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
