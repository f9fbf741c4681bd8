/**
 * One client connection to PostgreSQL, as bare as the ledger needs it: trust authentication, one statement at
 * a time. Bare on purpose: a warning that comes before `INSERT 0 1` takes the acknowledgement back (the
 * commit was not waited for), and a pool that reconnects or retries by itself would blur which attempt was
 * answered.
 */
import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** Fields of an error or notice: S severity, C SQLSTATE, M message. */
export interface ServerError {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
}

export type Answer =
  | {
      readonly kind: 'done';
      readonly rows: readonly (string | null)[][];
      readonly warnings: readonly ServerError[];
    }
  /** The statement had no effect. */
  | { readonly kind: 'refused'; readonly error: ServerError }
  /** No answer in time, or the connection ended first: it may or may not have been done. */
  | { readonly kind: 'unknown'; readonly why: string };

export class Refused extends Error {
  override readonly name = 'Refused';
}

export interface Connection {
  readonly open: boolean;
  /** Closes the connection when the outcome is unknown. */
  query(text: string, timeout: number): Promise<Answer>;
  close(): void;
}

function startup({ user, database }: Address): Buffer {
  const body = Buffer.from(
    `user\0${user}\0database\0${database}\0application_name\0ledger\0client_encoding\0UTF8\0\0`,
  );
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8, 0);
  head.writeInt32BE(196608, 4);
  return Buffer.concat([head, body]);
}

function message(type: string, text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function errorOf(body: Buffer): ServerError {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field[0] ?? '', field.slice(1)]),
  );
  return {
    severity: fields.get('V') ?? fields.get('S') ?? '',
    code: fields.get('C') ?? '',
    message: fields.get('M') ?? '',
  };
}

function rowOf(body: Buffer): (string | null)[] {
  const row: (string | null)[] = [];
  let at = 2;
  for (let column = body.readInt16BE(0); column > 0; column--) {
    const length = body.readInt32BE(at);
    at += 4;
    row.push(length < 0 ? null : body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return row;
}

/** Cuts the stream into messages. */
function splitter(onMessage: (type: string, body: Buffer) => void) {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk: Uint8Array) => {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= 5) {
      const length = rest.readInt32BE(at + 1);
      if (rest.length - at < length + 1) break;
      onMessage(String.fromCharCode(rest[at] ?? 0), rest.subarray(at + 5, at + 1 + length));
      at += length + 1;
    }
    rest = rest.subarray(at);
  };
}

/** Rejects with Refused (server's word) or Error (no connection, no answer in `timeout` ms). */
export async function connect(address: Address, timeout: number): Promise<Connection> {
  const socket = new Socket();
  let open = false;
  let rows: (string | null)[][] = [];
  let warnings: ServerError[] = [];
  let error: ServerError | undefined;
  let settle: ((answer: Answer) => void) | undefined;
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});

  const answer = (value: Answer) => {
    const waiting = settle;
    settle = undefined;
    waiting?.(value);
  };
  const end = (why: string) => {
    open = false;
    socket.destroy();
    ready.reject(new Error(why));
    answer({ kind: 'unknown', why });
  };
  const onError = (body: Buffer) => {
    error = errorOf(body);
    if (!open) ready.reject(new Refused(`${error.code} ${error.message}`));
    // FATAL ends the session: what was under way may have been committed.
    if (open && error.severity !== 'ERROR') end(`${error.code} ${error.message}`);
  };
  const onReady = () => {
    open = true;
    ready.resolve();
    if (error) answer({ kind: 'refused', error });
    else answer({ kind: 'done', rows, warnings });
  };
  const onMessage = (type: string, body: Buffer) => {
    if (type === 'R' && body.readInt32BE(0) !== 0) end('the server wants a password');
    else if (type === 'E') onError(body);
    else if (type === 'D') rows.push(rowOf(body));
    else if (type === 'Z') onReady();
    else if (type === 'N') {
      const notice = errorOf(body);
      if (notice.severity === 'WARNING') warnings.push(notice);
    }
  };

  socket.setNoDelay(true);
  socket.on('connect', () => socket.write(startup(address)));
  socket.on('data', splitter(onMessage));
  socket.on('error', (cause) => end(cause.message));
  socket.on('close', () => end('the connection was closed'));
  socket.connect(address.port, address.host);
  const timer = setTimeout(() => end(`no connection within ${timeout} ms`), timeout);
  try {
    await ready.promise;
  } catch (cause) {
    socket.destroy();
    throw cause;
  } finally {
    clearTimeout(timer);
  }

  return {
    get open() {
      return open;
    },
    query(text, limit) {
      if (!open) return Promise.resolve({ kind: 'unknown', why: 'the connection is closed' });
      rows = [];
      warnings = [];
      error = undefined;
      return new Promise((resolve) => {
        const limitTimer = setTimeout(() => end(`no answer within ${limit} ms`), limit);
        settle = (value) => {
          clearTimeout(limitTimer);
          resolve(value);
        };
        socket.write(message('Q', text));
      });
    },
    close() {
      open = false;
      socket.destroy();
    },
  };
}
