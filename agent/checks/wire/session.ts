/** One connection to the local server over its Unix socket, as the agent's own role. */
import type { Buffer } from 'node:buffer';
import { createConnection, type Socket } from 'node:net';
import { ownSettings } from '../../roles/postgres/query_settings.ts';
import type { PgTarget } from '../port.ts';
import { errorOf, firstColumn, query, Splitter, startup, terminate } from './messages.ts';

export interface Answer {
  /** First column of the last row; null when there was no row. */
  readonly value: string | null;
  /** What the server says it did, such as `UPDATE 1`. */
  readonly tag: string;
}

/** Settings of the connection, as the server knows them. */
export type Settings = Readonly<Record<string, string>>;

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** A server that is read-only is so for the check as for any client. */
const { default_transaction_read_only: _, ...own } = ownSettings;

const socketPath = (target: PgTarget): string => `${target.socketDir}/.s.PGSQL.${target.port}`;

const parameters = (target: PgTarget, settings: Settings): Record<string, string> => ({
  user: target.user,
  database: target.database,
  application_name: 'cloudify-agent check',
  ...own,
  ...settings,
});

export class WireSession {
  readonly #socket: Socket;
  readonly #splitter = new Splitter();
  #waiting: Waiting | null = null;
  #error: Error | null = null;
  #value: string | null = null;
  #tag = '';
  #alive = true;
  #pid = 0;

  private constructor(target: PgTarget, signal?: AbortSignal) {
    this.#socket = createConnection({ path: socketPath(target) });
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the server closed the connection')));
    if (signal !== undefined) {
      const abort = () => this.close();
      signal.addEventListener('abort', abort, { once: true });
      this.#socket.once('close', () => signal.removeEventListener('abort', abort));
      if (signal.aborted) this.close();
    }
  }

  /**
   * A connection of its own for one statement; closed afterwards. Start, statement and end are sent in one
   * piece. Throws ServerError or what the socket gave; an abort of `signal` ends it at once.
   */
  static async once(
    target: PgTarget,
    text: string,
    signal: AbortSignal,
    settings: Settings = {},
  ): Promise<Answer> {
    const session = new WireSession(target, signal);
    try {
      // Two ready states follow: after the start, and after the statement.
      return await session.#ask([startup(parameters(target, settings)), query(text), terminate], 2);
    } finally {
      session.close();
    }
  }

  /** A connection that is kept. It lives on after `signal`, which ends the opening alone. */
  static async open(target: PgTarget, signal: AbortSignal, settings: Settings = {}): Promise<WireSession> {
    const session = new WireSession(target);
    const abort = () => session.close();
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) session.close();
      await session.#ask([startup(parameters(target, settings))], 1);
      return session;
    } catch (error) {
      session.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Process id of the backend that serves this connection. */
  get pid(): number {
    return this.#pid;
  }

  /** One statement at a time. Has no time limit of its own: close the session to end the waiting. */
  query(text: string): Promise<Answer> {
    return this.#ask([query(text)], 1);
  }

  /** Destroys the socket. A backend that waits for a standby does not notice before it has its answer. */
  close(): void {
    this.#end(new Error('given up'));
    this.#socket.destroy();
  }

  #readyLeft = 0;

  #ask(messages: readonly Uint8Array[], ready: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!this.#alive) return reject(new Error('the connection is closed'));
      if (this.#waiting !== null) return reject(new Error('another statement is still running'));
      this.#waiting = { resolve, reject };
      this.#readyLeft = ready;
      this.#error = null;
      this.#value = null;
      this.#tag = '';
      this.#socket.cork();
      for (const part of messages) this.#socket.write(part);
      this.#socket.uncork();
    });
  }

  #read(chunk: Buffer): void {
    try {
      for (const { type, body } of this.#splitter.push(chunk)) this.#take(type, body);
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
      this.#socket.destroy();
    }
  }

  #take(type: string, body: Buffer): void {
    if (type === 'R' && body.readInt32BE(0) !== 0)
      throw new Error("the server asks the agent's role for a password on the Unix socket: see pg_hba.conf");
    if (type === 'K') this.#pid = body.readInt32BE(0);
    else if (type === 'D') this.#value = firstColumn(body);
    else if (type === 'C') this.#tag = body.toString('utf8', 0, body.length - 1);
    else if (type === 'E') this.#fail(body);
    else if (type === 'Z' && --this.#readyLeft === 0) this.#settle();
  }

  /**
   * Before the first ready state an error is the end of the connection; afterwards one more ready state
   * follows.
   */
  #fail(body: Buffer): void {
    this.#error = errorOf(body);
    if (this.#pid === 0) throw this.#error;
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (this.#error !== null) waiting?.reject(this.#error);
    else waiting?.resolve({ value: this.#value, tag: this.#tag });
  }

  #end(error: Error): void {
    if (!this.#alive) return;
    this.#alive = false;
    const waiting = this.#waiting;
    this.#waiting = null;
    // FATAL of the server (it shuts down, we were terminated) says more than the end of the connection.
    waiting?.reject(this.#error ?? error);
  }
}
