/**
 * The agent's connection to its PostgreSQL helper: made again at once when it breaks; what waited on it is
 * then rejected.
 */
import { connect, type Socket } from 'node:net';
import type { ToAgent, ToHelper } from './messages.ts';
import { encode, frames } from './wire.ts';

/** Between two attempts, milliseconds: at once, and then slower up to this. */
const SLOWEST = 250;
/** A helper that stays silent this long after a ping hangs: its connection is given up. */
const PONG = 1000;

export type ConnectionOptions = {
  socketPath: string;
  /** The first message of each connection. */
  opening(): ToHelper;
  /** Whatever else comes in. */
  take(message: ToAgent): void;
  opened(): void;
  /** Told once for each connection that was open. */
  lost(why: string): void;
  refused(why: string): void;
};

export interface Connection {
  /** Resolves once it is open; rejects with the reason when it is not after `ms`. */
  ready(ms: number): Promise<void>;
  readonly open: boolean;
  send(message: ToHelper): void;
  /** Frames taken in so far. */
  readonly heard: number;
  /** Ask for a sign of life; without one the connection is given up. */
  probe(): void;
  close(): void;
}

export function createConnection(o: ConnectionOptions): Connection {
  let socket: Socket | null = null;
  let open = false;
  let closed = false;
  let heard = 0;
  let delay = 0;
  let why = 'it does not answer';
  let again: ReturnType<typeof setTimeout> | undefined;
  let pong: ReturnType<typeof setTimeout> | undefined;
  const waiting = new Set<() => void>();

  const settle = (): void => {
    for (const done of waiting) done();
    waiting.clear();
  };
  const retry = (): void => {
    if (closed) return;
    again = setTimeout(start, delay);
    delay = Math.min(SLOWEST, Math.max(10, delay * 2));
  };
  const start = (): void => {
    const made = connect(o.socketPath);
    socket = made;
    const read = frames((message) => {
      heard++;
      clearTimeout(pong);
      pong = undefined;
      const told = message as ToAgent;
      if (told.t === 'opened') {
        open = true;
        delay = 0;
        settle();
        o.opened();
      } else if (told.t === 'refused') {
        why = told.why;
        delay = SLOWEST;
        o.refused(why);
        made.destroy();
      } else if (told.t !== 'pong') o.take(told);
    });
    made.on('connect', () => made.write(encode(o.opening())));
    made.on('data', (chunk) => {
      try {
        read(chunk);
      } catch {
        made.destroy();
      }
    });
    made.on('error', (error) => {
      why = error.message;
    });
    made.on('close', () => {
      if (socket !== made) return;
      socket = null;
      clearTimeout(pong);
      pong = undefined;
      const was = open;
      open = false;
      if (was) o.lost('the connection to the PostgreSQL helper was lost');
      retry();
    });
  };
  start();

  return {
    get open() {
      return open;
    },
    get heard() {
      return heard;
    },
    async ready(ms) {
      if (open) return;
      if (!closed) await oneOf(waiting, ms);
      if (!open) throw new Error(`the PostgreSQL helper cannot be reached: ${why}`);
    },
    send(message) {
      if (open) socket?.write(encode(message));
    },
    probe() {
      if (!open || pong !== undefined) return;
      const asked = socket;
      socket?.write(encode({ t: 'ping' }));
      pong = setTimeout(() => asked?.destroy(), PONG);
    },
    close() {
      closed = true;
      open = false;
      clearTimeout(again);
      clearTimeout(pong);
      const last = socket;
      socket = null;
      last?.destroy();
      why = 'closed';
      settle();
    },
  };
}

/** Waits until it is called as one of `waiting`, or `ms` have passed. */
function oneOf(waiting: Set<() => void>, ms: number): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(() => {
      waiting.delete(finish);
      done();
    }, ms);
    const finish = () => {
      clearTimeout(timer);
      done();
    };
    waiting.add(finish);
  });
}
