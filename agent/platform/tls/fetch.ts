/**
 * The one place that fetches. What the runtime's fetch needs besides the standard: to show a client
 * certificate, to trust the cluster's authority alone, and never to go by a proxy.
 */
import { keepOut } from '../environment.ts';

import { pemBlocks } from './bundle.ts';

/** PEM texts. */
export interface ClientTls {
  /** The roots that are trusted, and no other: two while the cluster's authority is renewed. */
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface ConnectionWish {
  readonly tls?: ClientTls | undefined;
  /** A connection of its own, so that the runtime does not send a request again on a second one. */
  readonly once?: boolean;
}

interface DenoLike {
  createHttpClient?: (options: Record<string, unknown>) => unknown;
}

/** fetch, past every proxy that the environment names: to members, Consul and Syncthing. */
export function directFetch(url: string, init: RequestInit): Promise<Response> {
  keepOut();
  return fetch(url, init);
}

const deno = (): DenoLike | undefined => (globalThis as { Deno?: DenoLike }).Deno;

/**
 * Keys to add to fetch's options. Make them once and keep them: connections are pooled by them. Bun and Deno
 * each have their own way; where neither runs nothing is added, and a server of the cluster is then not
 * trusted.
 */
export function connectionOptions({ tls, once = false }: ConnectionWish): Record<string, unknown> {
  const create = deno()?.createHttpClient;
  if (create !== undefined) {
    // A client of Deno's takes the proxies when it is made.
    keepOut();
    if (tls === undefined && !once) return {};
    return {
      client: create({
        ...(tls === undefined ? {} : { caCerts: pemBlocks(tls.ca), ...pair(tls) }),
        // Deno alone would speak HTTP/2, where all requests share one connection; here a write has its own.
        http2: false,
        ...(once ? { poolMaxIdlePerHost: 0 } : {}),
      }),
    };
  }
  if (!('Bun' in globalThis)) return {};
  return {
    ...(tls === undefined ? {} : { tls: { ca: tls.ca, ...pair(tls) } }),
    ...(once ? { keepalive: false } : {}),
  };
}

const pair = ({ cert, key }: ClientTls) => (cert === undefined || key === undefined ? {} : { cert, key });

/** As `connectionOptions`, remembered until the certificate is another one (it was renewed). */
export function connectionCache(tls: () => ClientTls | undefined) {
  let current: ClientTls | undefined;
  let made = new Map<boolean, Record<string, unknown>>();
  return (once: boolean): Record<string, unknown> => {
    const now = tls();
    if (now !== current) {
      current = now;
      made = new Map();
    }
    const known = made.get(once) ?? connectionOptions({ tls: now, once });
    made.set(once, known);
    return known;
  };
}
