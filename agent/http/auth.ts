/**
 * Who may do what: the Unix socket's administrators, peers, and people. In a cluster with TLS a peer shows a
 * certificate of the cluster's authority and, because that alone would also do for a node that was removed, a
 * token of its own whose hash its record has. In a plain cluster all of them share one secret.
 */
import { createHash } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { AgentError } from '../errors.ts';
import { sameSecret } from '../platform/password.ts';
import { addressOf, certified } from './connection.ts';
import type { Credentials, LoginVerdict, UserRole } from './credentials.ts';

/** What one listener lets its callers do. */
export interface Access {
  /** True on the Unix socket: who may open that file is an administrator. */
  readonly admin: boolean;
  /** May whoever connects read? Only where every node is on this machine. */
  readonly openReads: boolean;
  /** May a joining manager ask for admission? With TLS it may, and its join token is what counts. */
  readonly openAdmission: boolean;
  /**
   * Plain clusters: what peers show; null until this node is in a cluster, and then nobody is let in by it.
   */
  readonly secret: () => string | null;
  /** Clusters with TLS. */
  readonly mutual?: Mutual;
}

export interface Mutual {
  /** Is this the hash of the token of that node, as its record has it? False for one that was removed. */
  readonly isMember: (node: string, proof: string) => boolean;
  readonly people: Credentials;
}

const refuse = (code: 'unauthorized' | 'forbidden', message: string, hint?: string): AgentError =>
  new AgentError({ class: 'operator', code, message, ...(hint === undefined ? {} : { hint }) });

type Bearer = 'right' | 'wrong' | 'none';

function bearerOf(c: Context, secret: string | null): Bearer {
  const given = /^Bearer\s+(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (given === undefined) return 'none';
  return secret !== null && sameSecret(given, secret) ? 'right' : 'wrong';
}

function refusal(bearer: Bearer): AgentError {
  if (bearer === 'wrong') return refuse('forbidden', 'this bearer token is not valid here');
  return refuse(
    'unauthorized',
    'this call needs a bearer token',
    "send 'Authorization: Bearer ...', or use the agent's Unix socket on the manager itself",
  );
}

/** `Peer NODE:TOKEN`, as peers.ts sends it. */
export function peerOf(c: Context): { node: string; proof: string } | undefined {
  const [, node, token] = /^Peer\s+([^\s:]+):(\S+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
  if (node === undefined || token === undefined) return undefined;
  return { node, proof: createHash('sha256').update(token).digest('hex') };
}

/**
 * Throws unless a member calls. With `joining`, who will be one may call as well: its own call says what for.
 */
function requirePeer(c: Context, { secret, mutual }: Access, joining: boolean): void {
  if (mutual === undefined) {
    const bearer = bearerOf(c, secret());
    if (bearer !== 'right') throw refusal(bearer);
    c.set('caller', 'secret');
    return;
  }
  const peer = peerOf(c);
  if (peer !== undefined) c.set('claimed', peer.node);
  if (!certified(c))
    throw refuse(
      'unauthorized',
      'this call needs a certificate of the cluster, and showed none that is valid',
    );
  if (peer === undefined) throw refuse('unauthorized', 'this call needs the token of a node');
  if (mutual.isMember(peer.node, peer.proof)) c.set('caller', `peer:${peer.node}`);
  else if (!joining)
    throw refuse(
      'forbidden',
      `${peer.node} is not a node of this cluster, or its token is not the one it was given`,
    );
}

/** Lets members in, and nobody else: votes and data between agents. */
export const peersOnly =
  (access: Access): MiddlewareHandler =>
  async (c, next) => {
    requirePeer(c, access, false);
    await next();
  };

/** As `peersOnly`, also for a manager that was admitted and is no member yet. */
export const enrolment =
  (access: Access): MiddlewareHandler =>
  async (c, next) => {
    requirePeer(c, access, true);
    await next();
  };

/** Open where a manager that is not a member yet may ask; elsewhere for the bearer of the secret. */
export const admission =
  (access: Access): MiddlewareHandler =>
  async (c, next) => {
    if (access.mutual === undefined) {
      const bearer = bearerOf(c, access.secret());
      if (bearer === 'wrong' || (bearer === 'none' && !access.openAdmission)) throw refusal(bearer);
    }
    await next();
  };

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

type Person = { name: string; role: UserRole };

async function personOf(c: Context, access: Access): Promise<Person> {
  const { mutual } = access;
  if (access.admin) return { name: 'socket', role: 'admin' };
  if (mutual === undefined) {
    const bearer = bearerOf(c, access.secret());
    if (bearer === 'right') return { name: 'secret', role: 'admin' };
    if (access.openReads && READS.has(c.req.method)) return { name: 'anybody', role: 'viewer' };
    throw refusal(bearer);
  }
  const verdict = await mutual.people.check(c.req.header('authorization'), addressOf(c));
  if (verdict.kind === 'ok') return verdict;
  c.header('WWW-Authenticate', 'Basic realm="cloudify", charset="UTF-8"');
  if ('name' in verdict && verdict.name !== undefined) c.set('claimed', verdict.name);
  throw loginRefused(c, verdict);
}

function loginRefused(c: Context, verdict: Exclude<LoginVerdict, { kind: 'ok' }>): AgentError {
  const again = (code: string, message: string, seconds: number) => {
    c.header('Retry-After', String(seconds));
    const hint = `try again in ${seconds} s; root on the manager itself needs no password`;
    return new AgentError({ class: 'transient', code, message, hint });
  };
  switch (verdict.kind) {
    case 'busy':
      return again('too_many_attempts', 'too many passwords are being checked at the moment', 1);
    case 'slowed':
      return again(
        'too_many_failures',
        'too many failed logins of this user, or from this address',
        Math.ceil(verdict.wait / 1000),
      );
    case 'wrong':
      return refuse('unauthorized', 'this user, password or token is not right');
    case 'none':
      return refuse(
        'unauthorized',
        'this call needs a user and password, or a bearer token',
        "set them under 'api.users' and 'api.tokens'; 'agent hash-password' makes the hashes",
      );
  }
}

/** People: viewers read, administrators do everything. */
export const people =
  (access: Access): MiddlewareHandler =>
  async (c, next) => {
    const person = await personOf(c, access);
    c.set('caller', person.name);
    if (!READS.has(c.req.method) && person.role !== 'admin')
      throw refuse('forbidden', `${person.name} may read, but not change anything`);
    await next();
  };
