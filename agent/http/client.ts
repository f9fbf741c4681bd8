/**
 * The command line's way to an agent: node:http over its Unix socket, or TCP. Loads nothing but node:http,
 * because every command pays for it.
 */
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { AgentError, type ErrorClass } from '../errors.ts';

export type Target = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** From the root: `/api/v1/status`. */
  readonly path: string;
  readonly body?: unknown;
  /** From the call to the last byte of the reply. */
  readonly ms?: number;
}

export interface ClientOptions {
  readonly target: Target;
  /** Bearer of the cluster's secret; not needed on the socket. */
  readonly secret?: string;
  /** Told of every finished call, for `--verbose`. */
  readonly onCall?: (call: Call, status: number, ms: number) => void;
}

export interface HttpClient {
  /**
   * The reply's JSON. Rejects with the AgentError the agent sent, or `agent_not_running`, `no_answer`,
   * `bad_answer`.
   */
  call<T>(call: Call): Promise<T>;
  /** Opens a stream of server-sent events; see client_events.ts. */
  open(path: string, signal: AbortSignal): Promise<IncomingMessage>;
}

const DEADLINE = 10_000;

const nameOf = (target: Target) =>
  'socketPath' in target ? target.socketPath : `${target.host}:${target.port}`;

function connectionError(target: Target, cause: unknown): AgentError {
  const code = (cause as { code?: string }).code;
  const where = nameOf(target);
  if (code === 'EACCES' || code === 'EPERM') {
    return new AgentError({
      class: 'operator',
      code: 'socket_forbidden',
      message: `this user may not use ${where}`,
      hint: "run the command as root or as the agent's user",
      cause,
    });
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK') {
    return new AgentError({
      class: 'operator',
      code: 'agent_not_running',
      message: `no agent is listening on ${where}`,
      hint: "start it ('systemctl start cloudify-agent' or 'agent run'), or name its socket with --socket or its configuration with --config",
      cause,
    });
  }
  return new AgentError({
    class: 'transient',
    code: 'no_answer',
    message: `the connection to ${where} broke`,
    hint: 'try again; the call may have taken effect',
    cause,
  });
}

const lateError = (target: Target, ms: number): AgentError =>
  new AgentError({
    class: 'transient',
    code: 'no_answer',
    message: `the agent on ${nameOf(target)} did not answer within ${ms / 1000} s`,
    hint: "look at its log; 'agent logs' shows it while the agent answers",
  });

const CLASS_BY_STATUS: Readonly<Record<number, ErrorClass>> = {
  401: 'operator',
  403: 'operator',
  404: 'operator',
  409: 'operator',
  500: 'fatal',
  503: 'transient',
};

/** Sent as 400 for the sake of old clients, though the call was written right. */
const RIGHT_CALL = new Set(['not_cluster_master', 'removed_from_cluster', 'not_in_cluster']);

interface ErrorBody {
  message?: unknown;
  error_code?: unknown;
  hint?: unknown;
}

/** The AgentError on the other side, as far as its reply tells. */
function remoteError(status: number, body: ErrorBody): AgentError {
  const code = typeof body.error_code === 'string' ? body.error_code : 'bad_answer';
  return new AgentError({
    class: RIGHT_CALL.has(code) ? 'operator' : (CLASS_BY_STATUS[status] ?? 'usage'),
    code,
    message: typeof body.message === 'string' ? body.message : `the agent answered with status ${status}`,
    ...(typeof body.hint === 'string' ? { hint: body.hint } : {}),
  });
}

async function readText(reply: IncomingMessage): Promise<string> {
  reply.setEncoding('utf8');
  let text = '';
  for await (const chunk of reply) text += chunk;
  return text;
}

function parse(reply: IncomingMessage, text: string): unknown {
  const status = reply.statusCode ?? 0;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new AgentError({
      class: 'fatal',
      code: 'bad_answer',
      message: `the reply is not JSON (status ${status}): is this an agent?`,
      cause,
    });
  }
  if (status >= 200 && status < 300) return body;
  throw remoteError(status, (body ?? {}) as ErrorBody);
}

export function createClient({ target, secret, onCall }: ClientOptions): HttpClient {
  const send = (
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<IncomingMessage> => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = {
      ...target,
      method,
      path,
      // One call, one connection: a command must be able to end the moment it has its answer.
      agent: false,
      signal,
      headers: {
        ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
        ...(text === undefined
          ? {}
          : {
              'content-type': 'application/json',
              'content-length': String(new TextEncoder().encode(text).length),
            }),
      },
    };
    return new Promise((resolve, reject) => {
      const sent = request(options, resolve);
      sent.once('error', reject);
      sent.end(text);
    });
  };

  return {
    async call<T>(call: Call): Promise<T> {
      const { method, path, body, ms = DEADLINE } = call;
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(), ms);
      const started = performance.now();
      try {
        const reply = await send(method, path, body, abort.signal);
        const text = await readText(reply);
        onCall?.(call, reply.statusCode ?? 0, performance.now() - started);
        return parse(reply, text) as T;
      } catch (thrown) {
        if (thrown instanceof AgentError) throw thrown;
        throw abort.signal.aborted ? lateError(target, ms) : connectionError(target, thrown);
      } finally {
        clearTimeout(timer);
      }
    },
    async open(path, signal) {
      let reply: IncomingMessage;
      try {
        reply = await send('GET', path, undefined, signal);
      } catch (thrown) {
        throw connectionError(target, thrown);
      }
      if (reply.statusCode === 200) return reply;
      parse(reply, await readText(reply));
      throw connectionError(target, new Error(`status ${reply.statusCode}`));
    },
  };
}
