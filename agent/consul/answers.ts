/** From a reply of Consul to a value, and to `unknown` where the reply is not one that Consul gives. */
import type { ConsulFailure, ReadMeta, ReadOptions, Unknown } from './port.ts';
import type { Reply } from './transport.ts';

const DEFAULT_WAIT_MS = 60_000;

/** A status or body that fits no outcome of the call. A refusal (4xx) was certainly not carried out. */
export function unexpected(reply: Reply, write: boolean): Unknown {
  const { status, server } = reply;
  const denied = status === 401 || status === 403;
  const cause: ConsulFailure = {
    code: denied ? 'denied' : 'bad_answer',
    maybeApplied: write && status < 400,
    server,
    status,
    said: reply.body.trim().slice(0, 300),
    message: denied
      ? 'Consul refuses the token of this node'
      : `Consul gave an unexpected answer (status ${status})`,
  };
  return { kind: 'unknown', cause };
}

/** The body as JSON; undefined when it is none (a cut-off or foreign answer). */
export function parse(reply: Reply): unknown {
  try {
    return JSON.parse(reply.body);
  } catch {
    return undefined;
  }
}

/** Undefined without X-Consul-Index: then it was not Consul's key-value store that answered. */
export function metaOf(reply: Reply): ReadMeta | undefined {
  const index = Number(reply.headers.get('x-consul-index') ?? Number.NaN);
  if (!Number.isSafeInteger(index) || index < 0) return undefined;
  return {
    index: Math.max(1, index),
    knownLeader: reply.headers.get('x-consul-knownleader') !== 'false',
    lastContactMs: Number(reply.headers.get('x-consul-lastcontact') ?? 0),
    server: reply.server,
  };
}

/** The path with the query of a read, and how long the server may hold it. */
export function readCall(
  path: string,
  options: ReadOptions,
): { method: 'GET'; path: string; blockMs?: number } {
  const query: string[] = [];
  if (options.consistency === 'stale') query.push('stale');
  if (options.consistency === 'consistent') query.push('consistent');
  const blocking = options.index !== undefined && options.index > 0;
  const waitMs = Math.round(options.waitMs ?? DEFAULT_WAIT_MS);
  if (blocking) query.push(`index=${options.index}`, `wait=${waitMs}ms`);
  if (query.length > 0) path += (path.includes('?') ? '&' : '?') + query.join('&');
  return blocking ? { method: 'GET', path, blockMs: Math.ceil(waitMs * 1.0625) } : { method: 'GET', path };
}
