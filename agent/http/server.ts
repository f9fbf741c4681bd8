/**
 * Listening: the same application on the Unix socket (administrators) and on TCP (peers, load balancers,
 * readers).
 */
import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs';
import type { ServerType } from '@hono/node-server';
import { pemBlocks } from '../platform/tls/bundle.ts';
import { type AppOptions, createApp } from './app.ts';
import { type Credentials, createCredentials } from './credentials.ts';
import { cannotListen, listen, type ServerTls, somebodyListens, stop } from './listen.ts';

export interface HttpOptions extends Omit<AppOptions, 'access'> {
  /** Plain clusters: what peers show each other; null until the node is in a cluster. */
  readonly secret: () => string | null;
  /**
   * Reads and admission over TCP without the secret: only where every node is on this machine
   * (`api.tls: false`).
   */
  readonly open: boolean;
  /**
   * HTTPS over TCP, with these PEM texts: asked at `listenTcp` and `renew`. Left out: plain
   * (`api.tls: false`).
   */
  readonly tls?: () => Promise<ServerTls>;
  /** With `tls`: people over TCP. Left out: nobody. */
  readonly people?: Credentials;
}

export interface HttpServer {
  /**
   * Mode 0660, `gid` its group if given. A socket that nobody listens on is replaced. Rejects with
   * `address_in_use` when another agent answers there.
   */
  listenSocket(path: string, gid?: number): Promise<void>;
  /**
   * Rejects with `address_in_use` or `cannot_listen`. A second call with the same address does nothing but
   * `renew`.
   */
  listenTcp(host: string, port: number): Promise<void>;
  /** Takes up new certificates: new connections show them, those that are open go on. May be repeated. */
  renew(): Promise<void>;
  /** Drops open connections too; event streams never end by themselves. */
  close(): Promise<void>;
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw cannotListen(path, new Error('it exists and is not a socket'));
  if (await somebodyListens(path)) throw cannotListen(path, { code: 'EADDRINUSE' });
  unlinkSync(path);
}

export function createHttpServer({ secret, open, tls, people, ...options }: HttpOptions): HttpServer {
  const { api } = options;
  const onSocket = createApp({
    ...options,
    access: { admin: true, openReads: true, openAdmission: true, secret },
  });
  const mutual =
    tls === undefined
      ? undefined
      : {
          isMember: (node: string, proof: string) => api.isMember(node, proof),
          people: people ?? createCredentials({ users: [], tokens: [] }),
        };
  const onTcp = createApp({
    ...options,
    access: {
      admin: false,
      openReads: open,
      openAdmission: open,
      secret,
      ...(mutual === undefined ? {} : { mutual }),
    },
  });
  const sockets: ServerType[] = [];
  type Listening = { host: string; port: number; server: ServerType; shows: string | null; ca: string };
  const tcp = new Map<string, Listening>();
  /**
   * Replaced by one with newer certificates; their open connections go on while every root is trusted that
   * was.
   */
  const old: ServerType[] = [];

  async function openTcp(host: string, port: number): Promise<void> {
    const name = `${host}:${port}`;
    const material = await tls?.();
    const shows = material === undefined ? null : `${material.cert}${material.ca}`;
    const ca = material?.ca ?? '';
    const before = tcp.get(name);
    if (before?.shows === shows) return;
    if (before !== undefined) {
      // A moment without a listener: clients try again, and peers count it as no answer. Bun cannot change a
      // context in use.
      before.server.close();
      if ('closeIdleConnections' in before.server) before.server.closeIdleConnections();
      old.push(before.server);
      // Who is connected by a certificate of a root that is trusted no more would go on for as long as it
      // asks.
      if (pemBlocks(before.ca).some((root) => !ca.includes(root))) await Promise.all(old.splice(0).map(stop));
    }
    tcp.set(name, { host, port, server: await listen(onTcp, { host, port }, name, material), shows, ca });
  }

  return {
    async listenSocket(path, gid) {
      await removeStale(path);
      sockets.push(await listen(onSocket, { path }, path));
      if (gid !== undefined) chownSync(path, -1, gid);
      chmodSync(path, 0o660);
    },
    async listenTcp(host, port) {
      await openTcp(host, port);
    },
    async renew() {
      for (const { host, port } of [...tcp.values()]) await openTcp(host, port);
    },
    async close() {
      const all = [...sockets, ...old, ...[...tcp.values()].map(({ server }) => server)];
      sockets.length = 0;
      old.length = 0;
      tcp.clear();
      await Promise.all(all.map(stop));
    },
  };
}
