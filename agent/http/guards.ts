/**
 * What holds for every request before anybody looks at what it asks: how much, how long, how many, and from
 * where.
 */
import { Buffer } from 'node:buffer';
import type { Context, MiddlewareHandler } from 'hono';
import { AgentError } from '../errors.ts';
import { addressOf, certified, incomingOf } from './connection.ts';

/** Milliseconds for a body to come in whole. */
const BODY_DEADLINE = 10_000;
/**
 * Before anybody has shown who they are: an admission, with its three requests for certificates, is the
 * largest.
 */
const STRANGERS = 16 * 1024;
const KNOWN = 1024 * 1024;
/**
 * Requests under way at once, in all and of one address. The Unix socket has no such bound, and peers a share
 * of their own.
 */
const AT_ONCE = 128;
const OF_ONE = 32;
const PEERS = 64;

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

const refused = (code: string, message: string, hint?: string): AgentError =>
  new AgentError({ class: 'usage', code, message, ...(hint === undefined ? {} : { hint }) });

const tooLarge = (limit: number) => refused('too_large', `the body is over ${limit} bytes`);

/**
 * Calls between agents, an admission by nobody in particular among them, are small; people show who they are
 * first.
 */
const limitOf = (c: Context): number => (c.req.path.startsWith('/api/v1/peer/') ? STRANGERS : KNOWN);

/** Nothing that is answered here is to be kept, guessed at, framed or sent on. */
const headers: MiddlewareHandler = async (c, next) => {
  await next();
  c.header('X-Content-Type-Options', 'nosniff');
  c.header('X-Frame-Options', 'DENY');
  c.header('Referrer-Policy', 'no-referrer');
  c.header('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
  if (!c.res.headers.has('Cache-Control')) c.header('Cache-Control', 'no-store');
};

/**
 * A page of somebody else cannot make a browser that knows a password change anything: such requests are of
 * other kinds.
 */
const sameSite: MiddlewareHandler = async (c, next) => {
  if (!READS.has(c.req.method)) {
    const site = c.req.header('sec-fetch-site');
    if (site !== undefined && site !== 'same-origin' && site !== 'none')
      throw new AgentError({
        class: 'operator',
        code: 'forbidden',
        message: 'a page of another site may not change anything here',
      });
    const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
    if (c.req.method !== 'DELETE' && type !== 'application/json')
      throw refused(
        'unsupported_media_type',
        'a change must come as JSON',
        "send 'Content-Type: application/json'",
      );
  }
  await next();
};

/** How many requests are under way, so that strangers cannot take all the room. */
function crowd(): MiddlewareHandler {
  const of = new Map<string, number>();
  let strangers = 0;
  let peers = 0;
  const busy = () =>
    new AgentError({
      class: 'transient',
      code: 'too_many_requests',
      message: 'too many requests are being handled',
      hint: 'try again in a moment',
    });
  return async (c, next) => {
    const address = addressOf(c);
    if (address === undefined) return await next();
    // Who asks for health costs nothing, and must be answered whatever else goes on; who shows a certificate
    // is no stranger.
    if (c.req.path.startsWith('/health/')) return await next();
    const peer = c.req.path.startsWith('/api/v1/peer/') && certified(c);
    const own = of.get(address) ?? 0;
    if (own >= OF_ONE || (peer ? peers >= PEERS : strangers >= AT_ONCE)) throw busy();
    of.set(address, own + 1);
    if (peer) peers += 1;
    else strangers += 1;
    try {
      await next();
    } finally {
      const left = (of.get(address) ?? 1) - 1;
      if (left === 0) of.delete(address);
      else of.set(address, left);
      if (peer) peers -= 1;
      else strangers -= 1;
    }
  };
}

/** What says that it is too large is not read at all; what does not say is counted as it comes (bodyText). */
const announced: MiddlewareHandler = async (c, next) => {
  const length = Number(c.req.header('content-length') ?? 0);
  if (!(length <= limitOf(c))) throw tooLarge(limitOf(c));
  await next();
};

/** In this order: headers for whatever comes of it, then the cheap refusals. None of them reads a body. */
export const guards = (): MiddlewareHandler[] => [headers, crowd(), sameSite, announced];

/**
 * The body's text: read once it is wanted, so behind whoever asks for a password, with a bound on bytes and
 * time however it comes. One that does not come in whole in time ends its connection. Throws usage
 * `too_slow`, `too_large`.
 */
export async function bodyText(c: Context, deadline = BODY_DEADLINE): Promise<string> {
  const limit = limitOf(c);
  const reader = c.req.raw.body?.getReader();
  if (reader === undefined) return '';
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(refused('too_slow', `the body did not arrive within ${deadline / 1000} s`)),
      deadline,
    );
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) return new TextDecoder().decode(Buffer.concat(chunks));
      bytes += value.byteLength;
      if (bytes > limit) throw tooLarge(limit);
      chunks.push(value);
    }
  } catch (thrown) {
    void reader.cancel().catch(() => {});
    // After the reply had its chance to go out.
    setTimeout(() => incomingOf(c)?.socket?.destroy?.(), 100);
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}
