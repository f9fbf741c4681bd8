/** Syncthing's REST API, as far as it is used here. */
import { AgentError } from '../../errors.ts';
import { type ClientTls, connectionCache, directFetch } from '../../platform/tls/fetch.ts';

export type Rest = {
  /** Throws `syncthing_silent` (transient) or `syncthing_refused`. */
  get(path: string, ms: number, signal?: AbortSignal): Promise<unknown>;
  send(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, ms: number, body?: unknown): Promise<void>;
};

export const query = (path: string, values: Readonly<Record<string, string | number>>): string =>
  `${path}?${Object.entries(values)
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join('&')}`;

export type RestAccess = {
  readonly apiKey: string;
  /**
   * Nothing is sent before the other side has shown a certificate of this authority. Undefined: nothing is
   * sent.
   */
  readonly ca: string | undefined;
};

/** `address`: HOST:PORT. `access` is asked at each call. Keep it: its connections are pooled. */
export function createRest(address: string, access: () => RestAccess): Rest {
  let trusted: ClientTls | undefined;
  const connection = connectionCache(() => {
    const { ca } = access();
    if (trusted?.ca !== ca) trusted = ca === undefined ? undefined : { ca };
    return trusted;
  });
  async function call(
    method: string,
    path: string,
    ms: number,
    signal?: AbortSignal,
    body?: unknown,
  ): Promise<Response> {
    const limit = AbortSignal.timeout(Math.max(1, Math.round(ms)));
    const { apiKey, ca } = access();
    let reply: Response;
    try {
      if (ca === undefined) throw new Error('it has not been started with a certificate yet');
      reply = await directFetch(`https://${address}/rest/${path}`, {
        ...connection(false),
        method,
        redirect: 'manual',
        headers: {
          'X-API-Key': apiKey,
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new AgentError({
        class: 'transient',
        code: 'syncthing_silent',
        message: `Syncthing does not answer (${method} ${path.split('?')[0]})`,
        hint: 'see its log, and check that it runs',
        cause,
      });
    }
    if (reply.ok) return reply;
    const text = (await reply.text().catch(() => '')).trim().slice(0, 300);
    throw new AgentError({
      class: reply.status === 403 ? 'operator' : 'transient',
      code: 'syncthing_refused',
      message: `Syncthing answered ${reply.status} to ${method} ${path.split('?')[0]}: ${text}`,
      ...(reply.status === 403 ? { hint: 'another Syncthing may hold that port' } : {}),
    });
  }
  return {
    async get(path, ms, signal) {
      return await (await call('GET', path, ms, signal)).json();
    },
    async send(method, path, ms, body) {
      await (await call(method, path, ms, undefined, body)).arrayBuffer();
    },
  };
}
