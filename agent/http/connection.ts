/** What is known of the connection that a request came by. */
import type { Context } from 'hono';

type Incoming = { socket?: { remoteAddress?: string; authorized?: unknown; destroy?: () => void } };

export const incomingOf = (c: Context): Incoming | undefined =>
  (c.env as { incoming?: Incoming } | undefined)?.incoming;

/** Undefined in tests without a socket, and on a Unix socket. */
export const addressOf = (c: Context): string | undefined => incomingOf(c)?.socket?.remoteAddress;

/**
 * Did TLS accept a certificate of the client? False for a plain connection, and for a request without one.
 */
export const certified = (c: Context): boolean => incomingOf(c)?.socket?.authorized === true;
