/** One physical slot per member on every server, primary and standby (PROTOCOL D.10, E.3). */
import { formatLsn, parseLsn } from '../../core/lsn.ts';
import type { Lsn, Outcome } from '../../core/postgres.ts';
import { type Deadline, deadline, sleep } from '../../platform/clock.ts';
import { attempt, DONE, type Server } from './server.ts';
import { slotName, slotPrefix } from './slot_name.ts';
import { quoteLiteral, type Row, sqlState } from './sql.ts';

const slotsQuery = `select slot_name as name, restart_lsn::text as restart, wal_status as status, active_pid as pid
  from pg_replication_slots where slot_type = 'physical' and not temporary and slot_name like '${slotPrefix.replace('_', '\\_')}%'`;

/** Nodes other than this one: a server has no slot for itself, it would hold its own WAL back. */
export async function ensureSlots(
  server: Server,
  nodes: string[],
  ms: number,
  drop = false,
): Promise<Outcome> {
  const end = deadline(ms);
  const claim = server.claims.take('slots', end);
  const wanted = nodes.filter((node) => node !== server.o.node).map(slotName);
  return await attempt('slots', async () => {
    const rows = await server.link.query(slotsQuery, end.left());
    const there = new Map(rows.map((row) => [String(row.name), row]));
    const lost = (row: Row | undefined) => row?.status === 'lost' && row.pid === null;
    for (const [name, row] of there) {
      const stray = !wanted.includes(name) && (drop || name === slotName(server.o.node));
      claim.check();
      if (stray || lost(row)) await remove(server, name, end);
    }
    for (const name of wanted) {
      if (there.has(name) && !lost(there.get(name))) continue;
      claim.check();
      await server.link.query(
        `select pg_create_physical_replication_slot(${quoteLiteral(name)}, true)`,
        end.left(),
      );
    }
    return DONE;
  });
}

/**
 * The walsender that holds it is ended first; its standby may be back within milliseconds, so this is tried
 * again.
 */
async function remove(server: Server, name: string, end: Deadline): Promise<void> {
  const named = `slot_name = ${quoteLiteral(name)}`;
  for (;;) {
    const holders = await server.link.query(
      `select pg_terminate_backend(active_pid) from pg_replication_slots where ${named} and active_pid is not null`,
      end.left(),
    );
    try {
      await server.link.query(`select pg_drop_replication_slot(${quoteLiteral(name)})`, end.left());
      return;
    } catch (error) {
      // in use
      if (sqlState(error) !== '55006' || end.over()) throw error;
      if (holders.length > 0) await sleep(1);
    }
  }
}

/**
 * On a standby nobody reads from the slots, so nothing moves them. They go to the last restart point, or less
 * far when that is within walKeep: a member that is behind, and a rewind, need WAL from before the promotion.
 */
export async function advanceSlots(server: Server, ms: number): Promise<Outcome> {
  const end = deadline(ms);
  return await attempt('advance slots', async () => {
    const [at] = await server.link.query(
      `select pg_is_in_recovery() as r, redo_lsn::text as redo, pg_last_wal_replay_lsn()::text as replayed
       from pg_control_checkpoint()`,
      end.left(),
    );
    if (at?.r !== true || typeof at.replayed !== 'string') return DONE;
    const to = slotTarget(parseLsn(at.replayed), parseLsn(String(at.redo)), BigInt(server.o.walKeep));
    for (const row of await server.link.query(slotsQuery, end.left())) {
      if (typeof row.restart !== 'string' || row.pid !== null || parseLsn(row.restart) >= to) continue;
      await server.link.query(
        `select pg_replication_slot_advance(${quoteLiteral(String(row.name))}, '${formatLsn(to)}')`,
        end.left(),
      );
    }
    return DONE;
  });
}

export function slotTarget(replayed: Lsn, redo: Lsn, margin: bigint): Lsn {
  const behind = replayed > margin ? replayed - margin : 0n;
  return behind < redo ? behind : redo;
}
