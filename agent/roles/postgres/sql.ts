/**
 * One connection to a PostgreSQL server, closed for good when it breaks. The `postgres` package reconnects by
 * itself and ends its sockets politely; a server that hangs answers neither, so the socket is ours: it is
 * made once and destroyed when its time is over.
 */
import { Socket } from 'node:net';
import postgres from 'postgres';
import { Timeout, within } from '../../platform/clock.ts';
import { asPgOptions, ownSettings } from './query_settings.ts';

export type Row = Record<string, unknown>;

export type Target = {
  /** Folder of the Unix socket, or an address. */
  host: string;
  port: number;
  user: string;
  database: string;
  password?: string;
  applicationName: string;
  /** A walsender, for replication commands. */
  replication?: boolean;
};

export interface SqlSession {
  /**
   * Rows of the last statement of `text`. Throws PostgresError, Timeout (the session is then closed) or what
   * the socket gave.
   */
  query(text: string, ms: number): Promise<Row[]>;
  readonly alive: boolean;
  /** Destroys the socket. The server ends the backend. */
  close(): void;
}

/** `onClose` is called when the connection breaks, not when `close` ends it. */
export async function openSession(target: Target, ms: number, onClose?: () => void): Promise<SqlSession> {
  const socket = await connectSocket(target, ms);
  let alive = true;
  let handed = false;
  let ours = false;
  socket.once('close', () => {
    alive = false;
    if (!ours) onClose?.();
  });
  const sql = postgres({
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    pass: target.password ?? '',
    max: 1,
    fetch_types: false,
    prepare: false,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: Math.max(1, ms / 1000),
    onnotice: () => {},
    connection: {
      application_name: target.applicationName,
      ...(target.replication
        ? { replication: 'true' }
        : // The agent's own few writes never wait for a standby. In one piece: the package leaves empty values out.
          { options: asPgOptions({ ...ownSettings, synchronous_commit: 'local' }) }),
    },
    socket: () => {
      // Asked a second time means that the first one broke: the session is over.
      if (handed) throw new Error('the connection is closed');
      handed = true;
      return socket;
    },
  } as postgres.Options<Record<string, never>>);

  const close = () => {
    ours = true;
    alive = false;
    socket.destroy();
    void sql.end({ timeout: 0 }).catch(() => {});
  };
  return {
    get alive() {
      return alive;
    },
    async query(text, limit) {
      if (!alive) throw new Error('the connection is closed');
      // Not even asked: the connection may well be fine.
      if (limit <= 0) throw new Timeout('postgres: no time left to ask');
      const work = sql.unsafe(text) as unknown as Promise<Row[] | Row[][]>;
      work.catch(() => {});
      try {
        const result = await within(limit, 'postgres', work);
        // Several statements give a list of results.
        const last: unknown = result.at(-1);
        return Array.isArray(last) ? (last as Row[]) : (result as Row[]);
      } catch (error) {
        if (!(error instanceof postgres.PostgresError)) close();
        throw error;
      }
    },
    close,
  };
}

async function connectSocket(target: Target, ms: number): Promise<Socket> {
  const socket = new Socket();
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  connected.catch(() => {});
  if (target.host.startsWith('/')) socket.connect(`${target.host}/.s.PGSQL.${target.port}`);
  else socket.connect(target.port, target.host);
  try {
    await within(ms, `connecting to ${target.host}:${target.port}`, connected);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.removeAllListeners('error');
  socket.on('error', () => {});
  if (!target.host.startsWith('/')) socket.setNoDelay(true);
  return socket;
}

/** SQLSTATE of an error of the server; null of any other. */
export function sqlState(error: unknown): string | null {
  return error instanceof postgres.PostgresError ? error.code : null;
}

export const quoteLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`;
export const quoteIdentifier = (text: string): string => `"${text.replaceAll('"', '""')}"`;
