/**
 * The PostgreSQL helper: the driver in a process of the server's own user, behind a Unix socket. One agent at
 * a time; a new connection takes the place of the old. Who may connect is said by the folder the socket lies
 * in.
 */

import { chmodSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { messageOf } from '../../errors.ts';
import { createSerial } from '../../platform/serial.ts';
import { version } from '../../version.ts';
import type { Postgres } from '../postgres/port.ts';
import type { Names, ToAgent, ToHelper } from './messages.ts';
import { type AgentSession, createSession } from './session.ts';
import { createTasks } from './tasks.ts';
import { encode, frames } from './wire.ts';

export type HelperOptions = {
  socketPath: string;
  /** The driver for a node of these names. `key` tells whether it is the one there already is. */
  driverFor(names: Names, said: (line: string) => void): { key: string; make: () => Postgres };
  say(line: string): void;
  /** An agent of another version is there: end, so that the new executable is started. */
  outdated(): void;
  /** Milliseconds that a long task goes on with no agent. */
  patience?: number;
};

export type Helper = { close(): Promise<void> };

export async function serveHelper(o: HelperOptions): Promise<Helper> {
  const tasks = createTasks(o.patience);
  let driver: { key: string; pg: Postgres } | null = null;
  let current: Socket | null = null;
  let tell: (message: ToAgent) => void = () => {};

  async function driverOf(names: Names): Promise<Postgres> {
    const wanted = o.driverFor(names, (line) => tell({ t: 'said', line }));
    if (driver?.key === wanted.key) return driver.pg;
    if (driver !== null) {
      tasks.outdate();
      await tasks.clear();
      await driver.pg.close();
      driver = null;
    }
    const pg = wanted.make();
    pg.onLost(() => tell({ t: 'lost' }));
    driver = { key: wanted.key, pg };
    return pg;
  }

  const server = createServer((socket) => {
    current?.destroy();
    current = socket;
    let session: AgentSession | null = null;
    const inTurn = createSerial();
    const send = (message: ToAgent): void => {
      if (current === socket && !socket.destroyed) socket.write(encode(message));
    };

    const open = async (message: Extract<ToHelper, { t: 'open' }>): Promise<void> => {
      if (message.version !== version) {
        send({ t: 'refused', why: `the helper has version ${version}, the agent ${message.version}` });
        if (!tasks.running) o.outdated();
        return;
      }
      try {
        const pg = await driverOf(message.names);
        if (message.identity !== null) await pg.setIdentity(message.identity);
        if (current !== socket) return;
        // What the agent before, or this one on a connection that broke, has not got is given up; its calls
        // may still hang.
        pg.abandon();
        tell = send;
        session = createSession(pg, tasks, send);
        send({ t: 'opened' });
      } catch (thrown) {
        send({ t: 'refused', why: messageOf(thrown) });
      }
    };
    const handle = (opened: AgentSession, message: ToHelper): void => {
      if (message.t === 'call') opened.call(message);
      else if (message.t === 'cancel') opened.cancel(message.id);
    };
    const take = (message: ToHelper): void => {
      // What an agent that was replaced still had to say is not done any more.
      if (current !== socket) return;
      if (message.t === 'ping') send({ t: 'pong' });
      else if (session !== null) handle(session, message);
      else if (message.t === 'open') void inTurn(() => open(message));
      else void inTurn(() => (session === null ? undefined : handle(session, message)));
    };
    const read = frames((message) => take(message as ToHelper));
    socket.on('data', (chunk) => {
      try {
        read(chunk);
      } catch (thrown) {
        o.say(`the agent's message cannot be read: ${String(thrown)}`);
        socket.destroy();
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      session?.end();
      if (current !== socket) return;
      current = null;
      driver?.pg.abandon();
    });
  });

  await listen(server, o.socketPath);

  return {
    async close() {
      current?.destroy();
      const closed = new Promise((done) => server.close(done));
      // At once: while a task ends, nothing may be written that somebody waited for.
      driver?.pg.abandon();
      await tasks.clear();
      await driver?.pg.close();
      await closed;
    },
  };
}

async function listen(server: Server, socketPath: string): Promise<void> {
  rmSync(socketPath, { force: true });
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(socketPath, done);
  });
  // In a setgid folder the socket has the agent's group; elsewhere the folder alone says who may come.
  const shared = (statSync(dirname(socketPath)).mode & 0o2000) !== 0;
  chmodSync(socketPath, shared ? 0o660 : 0o666);
}
