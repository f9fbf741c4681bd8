/** One request to one server: a deadline, a cancel, and an outcome that is always a value. */
import { type ClientTls, connectionCache, directFetch } from '../platform/tls/fetch.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly url: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** A write that may be sent twice without harm: it shares the pooled connections as reads do. */
  readonly repeatable?: boolean;
  readonly signal?: AbortSignal;
}

export interface HttpReply {
  readonly kind: 'reply';
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

export interface HttpFailure {
  readonly kind: 'failure';
  readonly code: 'unreachable' | 'timeout' | 'broken' | 'cancelled';
  readonly message: string;
}

export type HttpSend = (request: HttpRequest) => Promise<HttpReply | HttpFailure>;

/** Errors of a connection that was never made, as Node and Bun name them. */
const UNSENT = new Set([
  'ECONNREFUSED',
  'ConnectionRefused',
  'FailedToOpenSocket',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function failureOf(error: unknown): HttpFailure {
  const outer = error as { code?: unknown; message?: unknown; cause?: { code?: unknown; message?: unknown } };
  const code = outer.cause?.code ?? outer.code;
  const message = String(outer.cause?.message ?? outer.message ?? error);
  // Deno gives no code, only this wording of its HTTP library.
  const unsent = (typeof code === 'string' && UNSENT.has(code)) || message.includes('client error (Connect)');
  return { kind: 'failure', code: unsent ? 'unreachable' : 'broken', message };
}

/**
 * Bun and Deno send a request again, by themselves and also a PUT, when the pooled connection they chose
 * turns out dead: seen with Bun 1.4 and Deno 2.9. A write that arrived would then be sent twice, and a
 * refused second connection would look as if nothing had been sent. So a write gets a connection of its own
 * there (0.1 ms of CPU more, 1 ms with TLS). Node does not send again.
 */
const ownConnection = ({ method, repeatable }: HttpRequest): boolean =>
  method !== 'GET' && repeatable !== true;

/**
 * A sender on the runtime's fetch. Make one and keep it: reads share its pooled connections. `tls` is for
 * https URLs.
 */
export function fetchSend(tls: () => ClientTls | undefined = () => undefined): HttpSend {
  const plain = connectionCache(() => undefined);
  const secured = connectionCache(tls);
  return (request) =>
    new Promise((resolve) => {
      const { signal } = request;
      const abort = new AbortController();
      let settled = false;
      // Settling comes before the abort and does not wait for fetch: not every runtime lets go of a
      // connection attempt at once.
      const settle = (outcome: HttpReply | HttpFailure): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
        resolve(outcome);
      };
      const cancel = (): void => {
        settle({ kind: 'failure', code: 'cancelled', message: 'cancelled' });
        abort.abort();
      };
      const timer = setTimeout(() => {
        settle({
          kind: 'failure',
          code: 'timeout',
          message: `no answer in ${Math.round(request.timeoutMs)} ms`,
        });
        abort.abort();
      }, request.timeoutMs);
      if (signal?.aborted === true) return cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      const isSecured = request.url.startsWith('https:');
      // The runtime would trust the machine's own list of authorities instead.
      if (isSecured && tls() === undefined)
        return settle({ kind: 'failure', code: 'unreachable', message: 'no authority to check it by yet' });

      // Sent on to somebody else, the node's token would go along.
      const init: RequestInit = { method: request.method, signal: abort.signal, redirect: 'manual' };
      if (request.body !== undefined) init.body = request.body;
      if (request.headers !== undefined) init.headers = request.headers;
      const options = isSecured ? secured : plain;
      Object.assign(init, options(ownConnection(request)));
      directFetch(request.url, init)
        .then(async (response) => {
          const body = await response.text();
          settle({ kind: 'reply', status: response.status, headers: response.headers, body });
        })
        .catch((error: unknown) => settle(failureOf(error)));
    });
}
