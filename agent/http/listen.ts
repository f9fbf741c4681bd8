/**
 * One application on one address: plain, or HTTPS that asks every client for a certificate and lets the
 * application judge.
 */
import { createServer } from 'node:https';
import { connect, type ListenOptions } from 'node:net';
import { createAdaptorServer, type ServerType } from '@hono/node-server';
import type { Hono } from 'hono';
import { AgentError } from '../errors.ts';
import type { ClientTls } from '../platform/tls/fetch.ts';
import { MIN_TLS, OPENSSL_SUITES } from '../platform/tls/suites.ts';

export type ServerTls = Required<ClientTls>;

const CONNECT_DEADLINE = 1000;

export function somebodyListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    // Accepting and silent is somebody all the same.
    const timer = setTimeout(() => settle(true), CONNECT_DEADLINE);
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

export function cannotListen(where: string, cause: unknown): AgentError {
  const inUse = (cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE';
  return new AgentError({
    class: 'operator',
    code: inUse ? 'address_in_use' : 'cannot_listen',
    message: inUse ? `another process listens on ${where}` : `cannot listen on ${where}`,
    hint: inUse
      ? 'is another agent running?'
      : 'does the address belong to this machine, and may the user use it?',
    cause,
  });
}

/**
 * With `tls`, a client without a certificate, or with one that does not hold, is connected all the same
 * (people and load balancers have none): `socket.authorized` tells the application, on Bun and Deno alike.
 */
export function listen(app: Hono, where: ListenOptions, name: string, tls?: ServerTls): Promise<ServerType> {
  const server =
    tls === undefined
      ? createAdaptorServer({ fetch: app.fetch })
      : createAdaptorServer({
          fetch: app.fetch,
          createServer,
          serverOptions: {
            ca: tls.ca,
            cert: tls.cert,
            key: tls.key,
            requestCert: true,
            rejectUnauthorized: false,
            minVersion: MIN_TLS,
            ciphers: OPENSSL_SUITES,
          },
        });
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(cannotListen(name, cause)));
    server.listen(where, () => resolve(server));
  });
}

export function stop(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
}
