/**
 * A standby whose active was restarted with more connections, workers or locks than it has itself. From
 * PostgreSQL 14 on it stops replaying, waits for somebody's hand, and cannot be promoted: what its active has
 * is written for it, and it is made to end, as it did by itself before 14. Whoever looks after it starts it
 * again.
 */
import type { Outcome } from '../../core/postgres.ts';
import { deadline } from '../../platform/clock.ts';
import { floorNames, floorsOf, readControl } from './control.ts';
import { attempt, DONE, type Server } from './server.ts';
import { quoteLiteral } from './sql.ts';

/** Nothing on a primary, on one that replays, and on one that somebody has paused for another reason. */
export async function endOutgrown(server: Server, ms: number): Promise<Outcome> {
  const { o, link, settings, claims } = server;
  const end = deadline(ms);
  const left = () => Math.max(1, end.left());
  return await attempt('settings', async () => {
    const names = Object.values(floorNames).map(quoteLiteral).join(', ');
    const rows = await link.query(
      `select name, setting from pg_settings
       where name in (${names}) and case when pg_is_in_recovery() then pg_is_wal_replay_paused() end`,
      left(),
    );
    if (rows.length === 0) return DONE;
    const own = Object.fromEntries(rows.map(({ name, setting }) => [String(name), Number(setting)]));
    const raised = floorsOf(await readControl(o), own);
    if (Object.keys(raised).length === 0) return DONE;
    const claim = claims.under('start', end);
    await settings.change({ floors: { ...(await settings.get()).floors, ...raised } }, claim);
    claim.check();
    o.say?.(
      `the active has more than this standby: it starts again with ${Object.entries(raised)
        .map((one) => one.join(' '))
        .join(', ')}`,
    );
    await link.query('select pg_wal_replay_resume()', left());
    return DONE;
  });
}
