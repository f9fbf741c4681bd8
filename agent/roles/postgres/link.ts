/**
 * The agent's connections to its own server, all over the Unix socket with its own role: one that is kept,
 * for observing, and fresh ones where only a fresh one proves something (it has the configuration the
 * postmaster has now) or where the statement takes long.
 */
import { randomBytes } from 'node:crypto';
import { deadline, within } from '../../platform/clock.ts';
import type { PgOptions } from './options.ts';
import { laterSettings } from './query_settings.ts';
import { openSession, type Row, type SqlSession, type Target } from './sql.ts';

export interface Link {
  /** application_name of every session of this agent. */
  readonly name: string;
  /** Rows on the kept connection, which is opened when it is not there. */
  query(text: string, ms: number): Promise<Row[]>;
  /** Rows on a connection made for this. `replication`: a walsender command. */
  fresh(text: string, ms: number, replication?: boolean): Promise<Row[]>;
  /** Called when the kept connection breaks by itself. */
  onBroken(callback: () => void): void;
  /** Called when the kept connection was made. */
  onMade(callback: () => void): void;
  /** Drop all connections; the next query makes a new one. */
  drop(): void;
}

/** A rejection that nobody may be waiting for. */
function withoutNoise(): PromiseWithResolvers<never> {
  const made = Promise.withResolvers<never>();
  made.promise.catch(() => {});
  return made;
}

export function createLink(o: PgOptions): Link {
  const name = `agent ${randomBytes(6).toString('hex')}`;
  const target: Target = {
    host: o.socketDir,
    port: o.port,
    user: o.superuser,
    database: o.database,
    applicationName: name,
  };
  let kept: SqlSession | null = null;
  let opening: Promise<SqlSession> | null = null;
  let broken = () => {};
  let made = () => {};
  const short = new Set<SqlSession>();
  /** Rejects what waits for a connection to a server that was seen to end. */
  let dropped = withoutNoise();

  const open = async (ms: number): Promise<SqlSession> => {
    const session = await openSession(target, ms, () => {
      if (kept === session) kept = null;
      broken();
    });
    // The socket accepts while the server starts, or hangs: only an answer makes it a connection.
    try {
      await session.query(laterSettings, ms);
    } catch (error) {
      session.close();
      throw error;
    }
    kept = session;
    made();
    return session;
  };

  return {
    name,
    async query(text, ms) {
      const end = deadline(ms);
      if (!kept?.alive) {
        opening ??= open(ms).finally(() => {
          opening = null;
        });
        await Promise.race([within(ms, 'connecting', opening), dropped.promise]);
      }
      if (!kept) throw new Error('the connection was closed');
      return await kept.query(text, end.left());
    },
    async fresh(text, ms, replication = false) {
      const end = deadline(ms);
      const session = await openSession({ ...target, replication }, ms);
      short.add(session);
      try {
        return await session.query(text, end.left());
      } finally {
        short.delete(session);
        session.close();
      }
    },
    onBroken(callback) {
      broken = callback;
    },
    onMade(callback) {
      made = callback;
    },
    drop() {
      dropped.reject(new Error('the connections were dropped'));
      dropped = withoutNoise();
      kept?.close();
      kept = null;
      for (const session of short) session.close();
    },
  };
}
