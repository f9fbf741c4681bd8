/** Thrown values as JSON replies: `{"message", "error_code", "hint"?}`. */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { AgentError, type ErrorClass } from '../errors.ts';
import type { Logger } from '../log/log.ts';

const STATUS_BY_CODE: Readonly<Record<string, ContentfulStatusCode>> = {
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  too_slow: 408,
  too_large: 413,
  unsupported_media_type: 415,
  too_many_failures: 429,
  too_many_requests: 503,
  // What the clients of Cloudify 4.x know: they try the next manager.
  not_cluster_master: 400,
  removed_from_cluster: 400,
  not_in_cluster: 400,
};

const STATUS_BY_CLASS: Readonly<Record<ErrorClass, ContentfulStatusCode>> = {
  usage: 400,
  operator: 409,
  transient: 503,
  fatal: 500,
};

export const statusOf = (error: AgentError): ContentfulStatusCode =>
  STATUS_BY_CODE[error.code] ?? STATUS_BY_CLASS[error.class];

export const notFound = (what: string, hint?: string): AgentError =>
  new AgentError({
    class: 'operator',
    code: 'not_found',
    message: what,
    ...(hint === undefined ? {} : { hint }),
  });

/** A call meant for the active came to another manager (CONTRACTS 11). */
export const notActive = (active: string | null): AgentError =>
  new AgentError({
    class: 'operator',
    code: 'not_cluster_master',
    message: 'this manager is not the active of its cluster',
    hint: active === null ? 'no manager is active at the moment: try again' : `ask the active, ${active}`,
  });

/** Hono's own refusals in our form; their reply is built before we see it. */
function asReply(thrown: unknown): AgentError {
  if (thrown instanceof AgentError) return thrown;
  // What went wrong inside is for the log: a message from there may carry anything.
  if (!(thrown instanceof HTTPException)) return hidden(thrown);
  const code = thrown.status === 413 ? 'too_large' : 'bad_request';
  return new AgentError({ class: 'usage', code, message: thrown.message || 'the request cannot be read' });
}

const hidden = (thrown: unknown): AgentError =>
  new AgentError({
    class: 'fatal',
    code: 'internal_error',
    message: 'something went wrong inside the agent',
    hint: "its log says what: 'agent logs' on that manager",
    cause: thrown,
  });

/** Hono's onError. Causes stay in the log; only what is a bug or a broken machine is logged. */
export const replyError = (log?: Logger) => (thrown: unknown, c: Context) => {
  const error = asReply(thrown);
  if (error.class === 'fatal') log?.error(`${c.req.method} ${c.req.path}:`, error);
  return c.json(error.toJSON(), statusOf(error));
};
