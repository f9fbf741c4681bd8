/** The helper's socket: orders in, one reply a line, in order. Whoever says anything else is hung up on. */
import { chmodSync, chownSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import process from 'node:process';
import type { Gate } from './gate.ts';
import type { Reply } from './gate_hands.ts';
import { lineCutter, type Order, parseOrder } from './protocol.ts';

/** The agent has one, and for a moment two when it is restarted. */
const CONNECTIONS = 8;
/** Orders of one connection that wait for their turn. */
const PENDING = 16;

type Orders = Pick<Gate, 'renew' | 'extend' | 'limit' | 'close' | 'end'>;

function carryOut(gate: Orders, order: Order): Promise<Reply> {
  if (order.do === 'renew' || order.do === 'extend') return gate[order.do](order.deadline);
  if (order.do === 'limit') return gate.limit(order.seconds);
  return gate[order.do]();
}

type Say = (level: 'info' | 'warn' | 'error', line: string) => void;

export function serve(gate: Orders, say: Say): Server {
  // What lies unread on an older connection was given up there: opened by it, ports would stay open after a
  // close.
  let newest = 0;
  let last = 0;
  const server = createServer((socket) => {
    last += 1;
    const mine = last;
    attend(socket, gate, say, () => {
      newest = Math.max(newest, mine);
      return mine === newest;
    });
  });
  server.maxConnections = CONNECTIONS;
  return server;
}

/** `current`: has nobody given an order on a later connection? */
function attend(socket: Socket, gate: Orders, say: Say, current: () => boolean): void {
  const cut = lineCutter();
  let pending = 0;
  const hangUp = (why: string): void => {
    if (socket.destroyed) return;
    say('error', `connection closed: ${why}`);
    socket.destroy();
  };
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    const lines = cut(chunk as Uint8Array);
    if (lines === undefined) return hangUp('what was received is not an order');
    for (const line of lines) {
      const order: Order | undefined = parseOrder(line);
      if (order === undefined) return hangUp(`${JSON.stringify(line)} is not an order`);
      // Hung up on, a client that lives says its renewal again; shutting is welcome from anybody.
      if (!current() && 'deadline' in order) return hangUp('a renewal on a connection that was replaced');
      pending += 1;
      if (pending > PENDING) return hangUp('too many orders at once');
      const done = carryOut(gate, order);
      void done.then((reply) => {
        pending -= 1;
        if (!socket.destroyed) socket.write(`${reply}\n`);
      });
    }
  });
}

/**
 * Listens on `path`, mode 0660, for root and `gid` alone. What an earlier process left there is replaced:
 * there is one helper.
 */
export function listen(server: Server, path: string, gid: number | undefined): Promise<void> {
  rmSync(path, { force: true });
  const before = process.umask(0o117);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      process.umask(before);
      if (gid !== undefined) chownSync(path, 0, gid);
      chmodSync(path, 0o660);
      resolve();
    });
  });
}
