/**
 * The gossip key of the running servers. A new one is installed everywhere before it is used, and the old one
 * goes last.
 */
import { parse, unexpected } from './answers.ts';
import type { CallOptions, Done, Unknown } from './port.ts';
import type { ConsulTransport } from './transport.ts';

const PATH = '/v1/operator/keyring';
/** A server waits some seconds for every member's answer, and longest when one has just died. */
const PATIENT = { deadlineMs: 20_000, attemptMs: 10_000 } as const;

interface Ring {
  readonly WAN?: boolean;
  readonly Keys?: Readonly<Record<string, number>>;
  readonly NumNodes?: number;
}

export class ConsulKeyring {
  readonly #transport: ConsulTransport;

  constructor(transport: ConsulTransport) {
    this.#transport = transport;
  }

  /** Each key and how many of `nodes` members have it. */
  async list(
    options: CallOptions = {},
  ): Promise<{ kind: 'ok'; keys: Readonly<Record<string, number>>; nodes: number } | Unknown> {
    const reply = await this.#transport.call({ method: 'GET', path: PATH }, { ...PATIENT, ...options });
    if (reply.kind === 'unknown') return reply;
    const rings = reply.status === 200 ? parse(reply) : undefined;
    const lan = Array.isArray(rings) ? (rings as Ring[]).find((ring) => ring.WAN !== true) : undefined;
    if (lan?.Keys === undefined) return unexpected(reply, false);
    return { kind: 'ok', keys: lan.Keys, nodes: lan.NumNodes ?? 0 };
  }

  /**
   * Makes `key` the one key of all living members. Idempotent, and to be repeated after `unknown`: each step
   * is carried out on every member or reported. A member that is away keeps its old key, and needs the new
   * one in its file before it starts.
   */
  async rotate(key: string, options: CallOptions = {}): Promise<Done | Unknown> {
    for (const method of ['POST', 'PUT'] as const) {
      const done = await this.#change(method, key, options);
      if (done.kind === 'unknown') return done;
    }
    const known = await this.list(options);
    if (known.kind === 'unknown') return known;
    for (const old of Object.keys(known.keys).filter((each) => each !== key)) {
      const gone = await this.#change('DELETE', old, options);
      if (gone.kind === 'unknown') return gone;
    }
    return { kind: 'ok' };
  }

  async #change(
    method: 'POST' | 'PUT' | 'DELETE',
    key: string,
    options: CallOptions,
  ): Promise<Done | Unknown> {
    const body = JSON.stringify({ Key: key });
    // Installing, choosing and removing a key may all arrive twice.
    const call = { method, path: PATH, body, repeatable: true };
    const reply = await this.#transport.call(call, { ...PATIENT, ...options });
    if (reply.kind === 'unknown') return reply;
    return reply.status === 200 ? { kind: 'ok' } : unexpected(reply, true);
  }
}
