/** Observe the server: its files, its process and, on the kept connection, everything else in one query. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseLsn } from '../../core/lsn.ts';
import type { Lsn, PgFacts, Position, SyncList, WalSender } from '../../core/postgres.ts';
import { deadline } from '../../platform/clock.ts';
import { parseSyncList } from './conf.ts';
import { peekControl } from './control.ts';
import { hasMark } from './marks.ts';
import type { PgOptions } from './options.ts';
import { holdsNothing } from './place.ts';
import { postmasterPid, serverProcesses } from './process.ts';
import type { Server } from './server.ts';
import { isClient, systemSenders } from './sessions.ts';

type Seen = {
  recovery: boolean;
  fenced: string | null;
  upstream: string;
  sync: string;
  timeline: number | null;
  insert: string | null;
  flush: string | null;
  received: string | null;
  replayed: string | null;
  receiver: { status: string; tli: number } | null;
  startup: string | null;
  clients: number;
  senders: {
    name: string;
    state: string;
    sent: string | null;
    flush: string | null;
    replay: string | null;
  }[];
};

const query = (server: Server): string => `
  select json_build_object(
    'recovery', r,
    'fenced', current_setting('agent.fenced', true),
    'upstream', current_setting('primary_conninfo'),
    'sync', current_setting('synchronous_standby_names'),
    'timeline', case when not r then ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end,
    'insert', case when not r then pg_current_wal_insert_lsn() end,
    'flush', case when not r then pg_current_wal_flush_lsn() end,
    'received', pg_last_wal_receive_lsn(),
    'replayed', pg_last_wal_replay_lsn(),
    'receiver', (select json_build_object('status', status, 'tli', received_tli) from pg_stat_wal_receiver),
    'startup', (select wait_event from pg_stat_activity where backend_type = 'startup'),
    'clients', (select count(*) from pg_stat_activity a where ${isClient(server)}),
    'senders', (select coalesce(json_agg(json_build_object('name', application_name, 'state', state,
        'sent', sent_lsn, 'flush', flush_lsn, 'replay', replay_lsn)), '[]') from pg_stat_replication where not ${systemSenders(server)})
  ) as seen from (select pg_is_in_recovery() as r) as x`;

async function look(server: Server, ms: number): Promise<Seen> {
  const rows = await server.link.query(query(server), ms);
  return rows[0]?.seen as Seen;
}

const lsnOf = (text: string | null): Lsn | null => (text === null ? null : parseLsn(text));

/** A list that is none of ours is shown as one that never equals ours. */
function listOf(text: string): SyncList {
  try {
    return parseSyncList(text);
  } catch {
    return { names: [text], k: 1 };
  }
}

/** Startup waits like this once it has replayed what is on disk (PROTOCOL D.2). */
const settledWaits = ['RecoveryWalStream', 'RecoveryRetrieveRetryInterval'];

/**
 * A standby asks the server itself, as a walsender would: IDENTIFY_SYSTEM gives the timeline being replayed
 * and, on it, the greater of received and replayed. pg_control is behind, and no SQL function tells it in
 * recovery.
 */
async function positionOf(server: Server, seen: Seen, ms: number): Promise<Position | null> {
  if (!seen.recovery) {
    const flush = lsnOf(seen.flush);
    if (flush === null || seen.timeline === null) return null;
    return { timeline: seen.timeline, lsn: flush, replayed: flush, settled: true };
  }
  const replayed = lsnOf(seen.replayed) ?? 0n;
  const received = lsnOf(seen.received);
  // Streaming begins only when startup found nothing more on disk, so a received position settles it for
  // good.
  const idle = settledWaits.includes(seen.startup ?? '');
  const settled = received !== null || idle;
  if (seen.receiver?.status === 'streaming' && received !== null) {
    const lsn = received > replayed ? received : replayed;
    return { timeline: seen.receiver.tli, lsn, replayed, settled, idle };
  }
  const [row] = await server.link.fresh('IDENTIFY_SYSTEM', ms, true);
  if (!row) return null;
  const told = parseLsn(String(row.xlogpos));
  // Received on a later timeline than replay has come to, it is not told here: not settled until it is
  // replayed.
  const all = received === null || told >= received;
  return {
    timeline: Number(row.timeline),
    lsn: told > replayed ? told : replayed,
    replayed,
    settled: settled && all,
    idle: idle && all,
  };
}

const senderOf = (s: Seen['senders'][number]): WalSender => ({
  name: s.name,
  state: s.state,
  sent: lsnOf(s.sent),
  flush: lsnOf(s.flush),
  replay: lsnOf(s.replay),
});

/** The address in primary_conninfo; null when there is none. */
export function hostOf(conninfo: string): string | null {
  const value = (key: string) => new RegExp(`(?:^|\\s)${key}=('(?:[^'\\\\]|\\\\.)*'|\\S+)`).exec(conninfo);
  const match = value('hostaddr') ?? value('host');
  return match?.[1]?.replace(/^'|'$/g, '').replace(/\\(.)/g, '$1') ?? null;
}

export async function dataState(o: PgOptions): Promise<PgFacts['data']> {
  try {
    if (!existsSync(join(o.dataDir, 'PG_VERSION')) && holdsNothing(o.dataDir)) return 'empty';
    if (hasMark(o)) return 'broken';
    const there = ['PG_VERSION', 'global/pg_control'].every((name) => existsSync(join(o.dataDir, name)));
    return there ? 'ok' : 'broken';
  } catch {
    return 'unknown';
  }
}

export async function facts(server: Server, ms: number): Promise<PgFacts> {
  const end = deadline(ms);
  const { o } = server;
  const [data, pid, settings, control] = await Promise.all([
    dataState(o),
    postmasterPid(o).catch(() => 'unknown' as const),
    server.settings.get(),
    peekControl(o.dataDir),
  ]);
  const runs = pid !== null || serverProcesses(o.dataDir).length > 0;
  // One that is about to be there is not gone.
  const absent = server.turns.launching() ? 'unknown' : 'stopped';
  const process = pid === 'unknown' ? pid : runs ? 'running' : absent;
  const base: PgFacts = {
    data,
    process,
    accepting: false,
    role: 'unknown',
    standbySignal: existsSync(join(o.dataDir, 'standby.signal')),
    systemId: control?.systemId ?? null,
    position: null,
    streaming: false,
    upstreamHost: settings.upstream?.host ?? null,
    syncList: settings.syncList,
    walSenders: [],
    fenced: process === 'stopped' ? true : 'unknown',
  };
  if (process !== 'running') return base;
  try {
    const seen = await look(server, end.left());
    const position = await positionOf(server, seen, Math.max(1, end.left())).catch(() => null);
    return {
      ...base,
      accepting: true,
      role: seen.recovery ? 'standby' : 'primary',
      position,
      streaming: seen.recovery && seen.receiver?.status === 'streaming',
      upstreamHost: hostOf(seen.upstream),
      syncList: listOf(seen.sync),
      walSenders: seen.senders.map(senderOf),
      // Closed, with somebody still inside (a check of the agent's own, perhaps): neither shut nor open.
      fenced: seen.fenced !== 'on' ? false : Number(seen.clients) === 0 ? true : 'unknown',
    };
  } catch {
    return base;
  }
}

export async function position(server: Server, ms: number): Promise<Position | null> {
  const end = deadline(ms);
  try {
    return await positionOf(server, await look(server, ms), Math.max(1, end.left()));
  } catch {
    return null;
  }
}

export async function replication(
  server: Server,
  ms: number,
): Promise<{ insert: Lsn; timeline: number; senders: WalSender[] } | null> {
  try {
    const seen = await look(server, ms);
    const insert = lsnOf(seen.insert);
    if (insert === null || seen.timeline === null) return null;
    return { insert, timeline: seen.timeline, senders: seen.senders.map(senderOf) };
  } catch {
    return null;
  }
}
