/** From standby to primary. */

import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome, StopOutcome } from '../../core/postgres.ts';
import { type Deadline, deadline, until } from '../../platform/clock.ts';
import { PRIVATE, writeAtomically } from '../../platform/files.ts';
import { readControl } from './control.ts';
import { endServer, type Mode } from './ending.ts';
import { dataState } from './facts.ts';
import { putStandbySignal } from './lifecycle.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { quoteLiteral } from './sql.ts';

const timelineQuery = `
  select r, case when not r then ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end as tli
  from (select pg_is_in_recovery() as r) as x`;

const pass = (server: Server): string => join(server.o.confDir, 'promotion');

/**
 * A promotion that was asked for and has not begun comes to nothing: here, and in a process of the server
 * that hangs with it.
 */
export function withdrawPromotion(server: Server): void {
  server.claims.outdate('promotion');
  takeBack(server);
}

/** The server's own signal file too: its startup process looks for it again when it gets to promoting. */
function takeBack(server: Server): void {
  rmSync(pass(server), { force: true });
  rmSync(join(server.o.dataDir, 'promote'), { force: true });
}

export async function promote(server: Server, ms: number): Promise<Outcome & { timeline?: number }> {
  const end = deadline(ms);
  const claim = server.claims.take('promotion', end);
  const name = randomBytes(8).toString('hex');
  return await attempt('promote', async () => {
    // The connection first: what follows then waits for nothing but the server.
    await server.link.query('select 1', end.left());
    claim.check();
    writeAtomically(pass(server), name, PRIVATE);
    let timeline: number | undefined;
    try {
      await ask(server, name, end);
      timeline = await until(
        async () => {
          claim.check();
          const [row] = await server.link.query(timelineQuery, Math.max(1, end.left()));
          return row?.r === false ? Number(row.tli) : null;
        },
        { timeout: end, every: 4 },
      );
    } finally {
      // Given up, it is not to come about later, unless a later one has its own pass by now.
      if (readPass(server) === name) takeBack(server);
    }
    if (timeline === undefined) return failed('still in recovery');
    // pg_rewind goes by the source's last checkpoint, which names the new timeline only after the next one.
    // The server's own is spread over minutes; nobody waits for this one.
    void server.link.fresh('checkpoint', 600_000).catch(() => {});
    return { ...DONE, timeline };
  });
}

/**
 * The server itself looks for the pass at the moment at which it would promote. A backend that hangs goes on
 * with a question that was given up long ago, whatever became of who asked; the wall clock (seconds) is a
 * second check for when both were frozen.
 */
export function promotionQuery(path: string, name: string, until: number): string {
  return `select case when not pg_is_in_recovery() then true
    when pg_read_file(${quoteLiteral(path)}, 0, 64, true) is distinct from ${quoteLiteral(name)} then false
    when clock_timestamp() > to_timestamp(${until.toFixed(3)}) then false
    else pg_promote(false) end as ok`;
}

async function ask(server: Server, name: string, end: Deadline): Promise<void> {
  // Without its own wait: that one looks every 100 ms only.
  const until = (Date.now() + end.left()) / 1000;
  const [asked] = await server.link.query(promotionQuery(pass(server), name, until), end.left());
  if (asked?.ok !== true) throw new Error('the server refused');
}

function readPass(server: Server): string | null {
  try {
    return readFileSync(pass(server), 'utf8');
  } catch {
    return null;
  }
}

export async function checkpoint(server: Server, ms: number): Promise<Outcome> {
  return await attempt('checkpoint', async () => {
    await server.link.fresh('checkpoint', ms);
    return DONE;
  });
}

export async function stop(
  server: Server,
  mode: Mode,
  ms: number,
  thenStandby: boolean,
): Promise<StopOutcome> {
  const end = deadline(ms);
  const { loss, turns } = server;
  // In memory alone: a stop must not wait for a disk, and its backends end with the server.
  server.claims.outdate('promotion');
  const outcome = await turns.stop(() =>
    attempt('stop', async (): Promise<StopOutcome> => {
      loss.want(true);
      const left = await endServer(server, mode, end);
      return left === null ? await stopped(server, thenStandby) : failed(left);
    }),
  );
  if (outcome.kind !== 'stopped') loss.want(false);
  return outcome;
}

async function stopped(server: Server, thenStandby: boolean): Promise<StopOutcome> {
  const { o } = server;
  if ((await dataState(o)) === 'empty')
    return { kind: 'stopped', clean: false, checkpoint: null, timeline: 0 };
  if (thenStandby) putStandbySignal(o);
  const control = await readControl(o);
  const primary = control.state === 'shut down';
  return {
    kind: 'stopped',
    clean: primary || control.state === 'shut down in recovery',
    checkpoint: primary ? control.checkpoint : null,
    timeline: control.timeline,
  };
}
