/** Listening: the same application on the Unix socket (administrators) and on TCP (peers, load balancers, readers). */
import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type ListenOptions } from 'node:net';
import { createAdaptorServer, type ServerType } from '@hono/node-server';
import type { Hono } from 'hono';
import { AgentError } from '../errors.ts';
import { type AppOptions, createApp } from './app.ts';

export interface HttpOptions extends Omit<AppOptions, 'access'> {
  /** What peers show each other; null until the node is in a cluster. */
  readonly secret: () => string | null;
  /** Reads and admission over TCP without the secret: only where every node is on this machine (`api.tls: false`). */
  readonly open: boolean;
}

export interface HttpServer {
  /**
   * Mode 0660, `gid` its group if given. A socket that nobody listens on is replaced. Rejects with `address_in_use` when
   * another agent answers there.
   */
  listenSocket(path: string, gid?: number): Promise<void>;
  /** Rejects with `address_in_use` or `cannot_listen`. A second call with the same address does nothing. */
  listenTcp(host: string, port: number): Promise<void>;
  /** Drops open connections too; event streams never end by themselves. */
  close(): Promise<void>;
}

const CONNECT_DEADLINE = 1000;

function somebodyListens(path: string): Promise<boolean> {
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

function cannotListen(where: string, cause: unknown): AgentError {
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

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw cannotListen(path, new Error('it exists and is no socket'));
  if (await somebodyListens(path)) throw cannotListen(path, { code: 'EADDRINUSE' });
  unlinkSync(path);
}

function listen(app: Hono, where: ListenOptions, name: string): Promise<ServerType> {
  const server = createAdaptorServer({ fetch: app.fetch });
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(cannotListen(name, cause)));
    server.listen(where, () => resolve(server));
  });
}

function stop(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
}

export function createHttpServer({ secret, open, ...options }: HttpOptions): HttpServer {
  const onSocket = createApp({
    ...options,
    access: { via: 'socket', admin: true, openReads: true, openAdmission: true, secret },
  });
  const onTcp = createApp({
    ...options,
    access: { via: 'tcp', admin: false, openReads: open, openAdmission: open, secret },
  });
  const servers = new Map<string, ServerType>();
  return {
    async listenSocket(path, gid) {
      await removeStale(path);
      servers.set(path, await listen(onSocket, { path }, path));
      if (gid !== undefined) chownSync(path, -1, gid);
      chmodSync(path, 0o660);
    },
    async listenTcp(host, port) {
      const name = `${host}:${port}`;
      if (!servers.has(name)) servers.set(name, await listen(onTcp, { host, port }, name));
    },
    async close() {
      const open = [...servers.values()];
      servers.clear();
      await Promise.all(open.map(stop));
    },
  };
}
