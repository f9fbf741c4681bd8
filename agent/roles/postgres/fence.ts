/**
 * The fence of PostgreSQL's own: a pg_hba that lets only the agent and replication in, and nobody left
 * inside.
 */
import type { Outcome } from '../../core/postgres.ts';
import { type Deadline, deadline, until } from '../../platform/clock.ts';
import { createEarly } from './early.ts';
import { killLeftovers, postmasterPid } from './process.ts';
import { apply, isLoaded } from './reload.ts';
import { refusedRules } from './rules_check.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { isClient } from './sessions.ts';
import { openSession, sqlState } from './sql.ts';

/** Milliseconds for taking back what the server would not load. */
const SHUTTING = 2000;

export async function fence(server: Server, ms: number): Promise<Outcome> {
  const end = deadline(ms);
  const claim = server.claims.take('fence', null);
  const outcome = await attempt('fence', async (): Promise<Outcome> => {
    const applied = await apply(server, { fenced: true }, end, claim);
    if (applied.kind !== 'done' || applied.running === false) return applied;
    const pid = await postmasterPid(server.o);
    const early = pid === null ? null : createEarly(pid);
    const empty = await until(
      async () => {
        const rows = await server.link.query(
          `select a.pid, case when ${isClient(server)} then pg_terminate_backend(a.pid) end as ended from pg_stat_activity a`,
          Math.max(1, end.left()),
        );
        // Whoever logged in since the last look is in the view, and a client of it.
        const none = early?.end(new Set(rows.map((row) => Number(row.pid)))) ?? true;
        return none && rows.every((row) => row.ended === null);
      },
      { timeout: end, every: 5 },
    );
    if (!empty) return failed('client sessions do not end');
    return await refused(server, end);
  });
  if ((await postmasterPid(server.o)) !== null) return outcome;
  // Backends outlive a killed postmaster for a while, and their clients with them.
  const { fenced } = await server.settings.get();
  return fenced && (await killLeftovers(server.o, end))
    ? DONE
    : failed('processes of a former server do not end');
}

export async function unfence(server: Server, ms: number): Promise<Outcome> {
  const end = deadline(ms);
  const claim = server.claims.take('fence', end);
  return await attempt('unfence', async () => {
    const open = !(await server.settings.get()).fenced;
    if (!open || !(await isLoaded(server, end.left()))) {
      let wrong: string | null = null;
      const objection = async () => {
        wrong = await refusedRules(server, end);
        return wrong;
      };
      const applied = await apply(server, { fenced: false }, end, claim, objection);
      // Not loaded, so nobody was let in by them: the files say shut again, as the server is.
      if (wrong !== null)
        await apply(server, { fenced: true }, deadline(SHUTTING), server.claims.take('fence', null));
      if (applied.kind !== 'done') return applied;
    }
    claim.check();
    return DONE;
  });
}

/**
 * `left`: ms of the time that shutting out may take. An answer awaited for the last of them says nothing of
 * the fence.
 */
export const notSeenRefused = (error: unknown, left: number): string =>
  left <= 0
    ? 'the time for it ran out before a client was seen to be refused (a busy machine, or a slow disk)'
    : `the fence check was not refused; it got: ${String(error)}`;

/**
 * Knock as a client does: it must be turned away by pg_hba. Over the Unix socket, as a firewall may swallow
 * what comes by the port; only the agent's own role is let in there.
 */
async function refused(server: Server, end: Deadline): Promise<Outcome> {
  const { socketDir: host, port, replicationUser: user, database } = server.o;
  const target = { host, port, user, database, applicationName: 'fence check' };
  const session = await openSession(target, Math.max(1, end.left()));
  try {
    await session.query('select 1', Math.max(1, end.left()));
  } catch (error) {
    return sqlState(error) === '28000' ? DONE : failed(notSeenRefused(error, end.left()));
  } finally {
    session.close();
  }
  return failed('a client connection is still let in');
}
