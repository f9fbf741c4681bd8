/**
 * Several Consul servers as one: which to ask, when to try the next, and when a write must not be sent again.
 */
import { sleep } from '../platform/clock.ts';
import type { ClientTls } from '../platform/tls/fetch.ts';
import { fetchSend, type HttpFailure, type HttpReply, type HttpSend } from './http.ts';
import { checkPath } from './paths.ts';
import type { CallOptions, ConsulFailure, Unknown } from './port.ts';

export interface TransportOptions {
  /**
   * Base URLs such as `http://127.0.0.1:8500` or `https://10.0.0.12:8501`; the node's own server first. At
   * least one.
   */
  readonly servers: readonly string[];
  /** A function is asked at every call. */
  readonly token?: string | (() => string | undefined);
  /**
   * For servers reached by https: the cluster's authority and this node's certificate, asked for anew at each
   * call.
   */
  readonly tls?: () => ClientTls | undefined;
  /** Defaults for calls that say nothing, in ms: 3,000 and 1,000. */
  readonly deadlineMs?: number;
  readonly attemptMs?: number;
  /**
   * How often to see whether the first server is well again while another one serves, in ms. Default 10,000.
   */
  readonly homeProbeMs?: number;
  readonly send?: HttpSend;
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<unknown>;
}

/** Between two rounds of all servers. */
const ROUND_PAUSE_MS = 100;

export interface Call {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** With its query, beginning with /v1/. */
  readonly path: string;
  readonly body?: string;
  /** A write that may arrive twice without harm (a TTL update). */
  readonly repeatable?: boolean;
  /** Given for a blocking query: how long the server itself may take, in ms. */
  readonly blockMs?: number;
}

/** Any answer below 500 but 429. What 404 or 409 means is the caller's knowledge. */
export interface Reply {
  readonly kind: 'reply';
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  readonly server: string;
}

interface Server {
  readonly url: string;
  /** Blocking queries that stand at this server; cut as soon as the server is found bad. */
  readonly standing: Set<AbortController>;
}

export class ConsulTransport {
  #servers: readonly Server[] = [];
  /** Where the next call goes: the first server, or the first after it that was not found bad since. */
  #current = 0;
  #lastHomeProbe = 0;
  readonly #send: HttpSend;
  readonly #now: () => number;
  readonly #sleep: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  readonly #deadlineMs: number;
  readonly #attemptMs: number;
  readonly #homeProbeMs: number;
  #token: () => string | undefined = () => undefined;

  constructor(options: TransportOptions) {
    this.#send = options.send ?? fetchSend(options.tls);
    this.#now = options.now ?? (() => performance.now());
    this.#sleep = options.sleep ?? sleep;
    this.#deadlineMs = options.deadlineMs ?? 3_000;
    this.#attemptMs = options.attemptMs ?? 1_000;
    this.#homeProbeMs = options.homeProbeMs ?? 10_000;
    this.setToken(options.token);
    this.setServers(options.servers);
  }

  /** Replaces the list (a member joined or left). Calls under way finish where they are. */
  setServers(urls: readonly string[]): void {
    if (urls.length === 0) throw new RangeError('a Consul transport needs at least one server');
    const known = new Map(this.#servers.map((server) => [server.url, server]));
    const current = this.#servers[this.#current]?.url;
    this.#servers = urls.map((url) => known.get(url) ?? { url, standing: new Set() });
    this.#current = Math.max(0, current === undefined ? 0 : urls.indexOf(current));
  }

  setToken(token: string | undefined | (() => string | undefined)): void {
    this.#token = typeof token === 'function' ? token : () => token;
  }

  #headers(): { headers?: Readonly<Record<string, string>> } {
    const token = this.#token();
    return token === undefined ? {} : { headers: { 'X-Consul-Token': token } };
  }

  /** Base URL of the server that the next call goes to. */
  get server(): string {
    return this.#servers[this.#current]?.url ?? '';
  }

  /**
   * Asks one server after the other, and all of them again after a pause, until one answers or the deadline
   * is reached: an election takes a second. A read goes on after any failure, a write only while no server
   * can have received it. A local call and a blocking query go round once: who made them has a rhythm of its
   * own.
   */
  async call(call: Call, options: CallOptions = {}): Promise<Reply | Unknown> {
    checkPath(call.path);
    const { signal } = options;
    const local = options.target === 'local';
    const block = call.blockMs ?? 0;
    const attemptMs = (options.attemptMs ?? this.#attemptMs) + block;
    const end = this.#now() + (options.deadlineMs ?? this.#deadlineMs) + block;
    let failure: ConsulFailure = {
      code: 'timeout',
      maybeApplied: false,
      server: '',
      message: 'no time left',
    };
    for (;;) {
      for (const server of this.#order(local)) {
        const left = end - this.#now();
        if (left <= 0) return { kind: 'unknown', cause: failure };
        const outcome = await this.#attempt(server, call, Math.min(left, attemptMs), signal);
        if (outcome.kind === 'reply' && outcome.status < 500 && outcome.status !== 429) {
          if (!local) this.#probeHome();
          return { ...outcome, server: server.url };
        }
        failure = describe(outcome, server.url, call.method !== 'GET');
        if (failure.code === 'cancelled') return { kind: 'unknown', cause: failure };
        if (!local) this.#bad(server);
        if (failure.maybeApplied) return { kind: 'unknown', cause: failure };
      }
      if (local || block > 0 || end - this.#now() <= ROUND_PAUSE_MS)
        return { kind: 'unknown', cause: failure };
      // A cancel cuts the pause short; the next attempt then says so.
      await this.#sleep(ROUND_PAUSE_MS, signal);
    }
  }

  #order(local: boolean): readonly Server[] {
    if (local) return this.#servers.slice(0, 1);
    return this.#current === 0
      ? this.#servers
      : [...this.#servers.slice(this.#current), ...this.#servers.slice(0, this.#current)];
  }

  async #attempt(
    server: Server,
    call: Call,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<HttpReply | HttpFailure> {
    const request = {
      method: call.method,
      url: server.url + call.path,
      timeoutMs,
      ...(call.repeatable === true ? { repeatable: true } : {}),
      ...(call.body === undefined ? {} : { body: call.body }),
      ...this.#headers(),
    };
    if (call.blockMs === undefined)
      return this.#send(signal === undefined ? request : { ...request, signal });
    const cut = new AbortController();
    const cancel = (): void => cut.abort();
    if (signal?.aborted === true) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    server.standing.add(cut);
    const outcome = await this.#send({ ...request, signal: cut.signal });
    server.standing.delete(cut);
    signal?.removeEventListener('abort', cancel);
    const wasCut = outcome.kind === 'failure' && outcome.code === 'cancelled' && signal?.aborted !== true;
    return wasCut
      ? { kind: 'failure', code: 'broken', message: 'another call found this server failing' }
      : outcome;
  }

  /** The next call goes to the next server, and no blocking query goes on waiting at this one. */
  #bad(server: Server): void {
    if (this.#servers[this.#current] === server) {
      if (this.#current === 0) this.#lastHomeProbe = this.#now();
      this.#current = (this.#current + 1) % this.#servers.length;
    }
    for (const cut of server.standing) cut.abort();
  }

  /** Asks, beside the call that was just served, whether the node's own server has a leader again. */
  #probeHome(): void {
    const home = this.#servers[0];
    const now = this.#now();
    if (home === undefined || this.#current === 0 || now - this.#lastHomeProbe < this.#homeProbeMs) return;
    this.#lastHomeProbe = now;
    const probe: Call = { method: 'GET', path: '/v1/status/leader' };
    void this.#attempt(home, probe, this.#attemptMs).then((outcome) => {
      const well = outcome.kind === 'reply' && outcome.status === 200 && outcome.body.trim().length > 2;
      if (well && this.#servers[0] === home) this.#current = 0;
    });
  }
}

function describe(outcome: HttpReply | HttpFailure, server: string, write: boolean): ConsulFailure {
  if (outcome.kind === 'reply') {
    const { status } = outcome;
    const said = outcome.body.trim().slice(0, 300);
    const message = `Consul answered with status ${status}`;
    return { code: 'server_error', maybeApplied: write, server, status, message, said };
  }
  const maybeApplied = write && outcome.code !== 'unreachable';
  return { code: outcome.code, maybeApplied, server, message: outcome.message };
}
