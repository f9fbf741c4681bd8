/** Whom this server reads from: repointed and cut without a restart. */
import type { Outcome, Upstream } from '../../core/postgres.ts';
import { deadline, until, within } from '../../platform/clock.ts';
import type { Claim } from './claims.ts';
import { postmasterPid, signal } from './process.ts';
import { withdrawPromotion } from './promote.ts';
import { apply, isLoaded, unlessStopped } from './reload.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { trimReserved } from './timeline.ts';

const same = (a: Upstream | null, b: Upstream | null): boolean =>
  a === b || (a !== null && b !== null && a.node === b.node && a.host === b.host && a.port === b.port);

export async function setUpstream(server: Server, upstream: Upstream | null, ms: number): Promise<Outcome> {
  const end = deadline(ms);
  // A cut is as good late as early. To follow is not: the vote that came between stands on what this would
  // undo.
  const claim = server.claims.take('upstream', upstream === null ? null : end);
  withdrawPromotion(server);
  const outcome = await attempt('set upstream', async (): Promise<Outcome> => {
    const before = await server.settings.get();
    // What a lost candidacy reserved must not hide the timeline that won.
    if (upstream !== null) await within(end.left(), 'pg_wal', trimReserved(server.o, claim));
    const unchanged = same(before.upstream, upstream);
    if (!unchanged || !(await isLoaded(server, end.left()))) {
      const applied = await apply(server, { upstream }, end, claim);
      if (applied.kind !== 'done') return applied;
      if (applied.running === false) return DONE;
    }
    if (upstream !== null || (await postmasterPid(server.o)) === null) return DONE;
    return await receiverGone(server, end);
  });
  const written = same((await server.settings.get()).upstream, upstream);
  return await standing(claim, written ? await unlessStopped(server, outcome) : outcome);
}

/** What was overtaken is not said to be done, whatever is loaded by now. */
export async function standing<T extends Outcome>(claim: Claim, outcome: T): Promise<T | Outcome> {
  if (outcome.kind !== 'done') return outcome;
  return await attempt('overtaken', async () => {
    claim.check();
    return outcome;
  });
}

/**
 * Two looks in a row, some time apart: startup may have been about to start one when it was told to stop. One
 * that waits for startup's word, at the end of a timeline that its upstream has left, is told nothing any
 * more, and is ended here (PostgreSQL 15).
 */
async function receiverGone(server: Server, end: ReturnType<typeof deadline>): Promise<Outcome> {
  let clear = 0;
  const gone = await until(
    async () => {
      const left = await server.link.query(
        `select a.pid, r.status from pg_stat_activity a left join pg_stat_wal_receiver r using (pid)
       where a.backend_type = 'walreceiver'`,
        Math.max(1, end.left()),
      );
      for (const row of left) if (row.status === 'waiting') signal(Number(row.pid), 'SIGTERM');
      clear = left.length === 0 ? clear + 1 : 0;
      return clear >= 3;
    },
    { timeout: end, every: 8 },
  );
  return gone ? DONE : failed('the walreceiver is still there');
}
