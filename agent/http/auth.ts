/** Who may do what. Today: the Unix socket, and the bearer of the cluster's secret; people over TCP come with TLS. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { AgentError } from '../errors.ts';
import type { Logger } from '../log.ts';

/** What one listener lets its callers do. */
export interface Access {
  /** Where calls come in, for the audit. */
  readonly via: 'socket' | 'tcp';
  /** True on the Unix socket: who may open that file is an administrator. */
  readonly admin: boolean;
  /** May whoever connects read? Only where every node is on this machine. */
  readonly openReads: boolean;
  /** May a joining manager ask for admission without the secret, which it cannot know yet? Only as above. */
  readonly openAdmission: boolean;
  /** What peers show; null until this node is in a cluster, and then nobody is let in by it. */
  readonly secret: () => string | null;
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Compares in constant time, lengths too. */
const same = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

type Bearer = 'right' | 'wrong' | 'none';

function bearerOf(c: Context, secret: string | null): Bearer {
  const given = /^Bearer\s+(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (given === undefined) return 'none';
  return secret !== null && same(given, secret) ? 'right' : 'wrong';
}

function refusal(bearer: Bearer): AgentError {
  if (bearer === 'none') {
    return new AgentError({
      class: 'operator',
      code: 'unauthorized',
      message: 'this call needs a bearer token',
      hint: "send 'Authorization: Bearer ...', or use the agent's Unix socket on the manager itself",
    });
  }
  return new AgentError({
    class: 'operator',
    code: 'forbidden',
    message: 'this bearer token is not valid here',
  });
}

/** Lets the bearer of the secret in, and nobody else: votes and data between agents. */
export const peersOnly =
  (access: Access): MiddlewareHandler =>
  async (c, next) => {
    const bearer = bearerOf(c, access.secret());
    if (bearer !== 'right') throw refusal(bearer);
    await next();
  };

/** As `peersOnly`, but open where a manager that is not a member yet may ask. */
export const admission =
  (access: Access): MiddlewareHandler =>
  async (c, next) => {
    const bearer = bearerOf(c, access.secret());
    if (bearer === 'wrong' || (bearer === 'none' && !access.openAdmission)) throw refusal(bearer);
    await next();
  };

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** People: reads where they are open, everything for an administrator. Each mutation is audited, refused ones too. */
export const people =
  (access: Access, log?: Logger): MiddlewareHandler =>
  async (c, next) => {
    const mutation = !READS.has(c.req.method);
    const bearer = bearerOf(c, access.secret());
    if (!access.admin && bearer !== 'right' && (mutation || !access.openReads)) {
      if (mutation)
        log?.warn(`audit: ${c.req.method} ${c.req.path} via ${access.via}: refused, ${bearer} bearer`);
      throw refusal(bearer);
    }
    await next();
    if (mutation) log?.info(`audit: ${c.req.method} ${c.req.path} via ${access.via}: ${c.res.status}`);
  };
