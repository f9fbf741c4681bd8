/** From standby to primary. */
import type { Outcome } from '../../core/postgres.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { deadline, poll } from './time.ts';

const timelineQuery = `
  select r, case when not r then ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end as tli
  from (select pg_is_in_recovery() as r) as x`;

export async function promote(server: Server, ms: number): Promise<Outcome & { timeline?: number }> {
  const end = deadline(ms);
  return await attempt('promote', async () => {
    // Asked without its own wait: that one looks every 100 ms only.
    const [asked] = await server.link.query(
      'select case when pg_is_in_recovery() then pg_promote(false) else true end as ok',
      end.left(),
    );
    if (asked?.ok !== true) return failed('the server refused');
    const timeline = await poll(end, 4, async () => {
      const [row] = await server.link.query(timelineQuery, Math.max(1, end.left()));
      return row?.r === false ? Number(row.tli) : null;
    });
    if (timeline === null) return failed('still in recovery');
    // pg_rewind goes by the source's last checkpoint, which names the new timeline only after the next one. The
    // server's own is spread over minutes; nobody waits for this one.
    void server.link.fresh('checkpoint', 600_000).catch(() => {});
    return { ...DONE, timeline };
  });
}

export async function checkpoint(server: Server, ms: number): Promise<Outcome> {
  return await attempt('checkpoint', async () => {
    await server.link.fresh('checkpoint', ms);
    return DONE;
  });
}
