/** synchronous_standby_names: changed, and known to be in effect (PROTOCOL D.4). */
import { join } from 'node:path';
import type { Outcome, SyncList } from '../../core/postgres.ts';
import { type Deadline, deadline, until } from '../../platform/clock.ts';
import { removeDurably, writeAtomically } from '../../platform/files.ts';
import { renderSyncList } from './conf.ts';
import { readText } from './read_text.ts';
import { apply } from './reload.ts';
import { attempt, DONE, failed, type Server } from './server.ts';
import { systemSenders } from './sessions.ts';

type Shown = { recovery: boolean; value: string };

const shownQuery = `select pg_is_in_recovery() as recovery,
  current_setting('synchronous_standby_names') as value`;

/** A fresh connection: it shows what the postmaster has. Null when the server does not answer. */
async function shown(server: Server, ms: number): Promise<Shown | null> {
  try {
    return (await server.link.fresh(shownQuery, ms))[0] as Shown;
  } catch {
    return null;
  }
}

export async function setSyncList(server: Server, list: SyncList, ms: number): Promise<Outcome> {
  const end = deadline(ms);
  const want = renderSyncList(list);
  const claim = server.claims.take('list', end);
  return await attempt('set the list of voters', async () => {
    const before = await shown(server, end.left());
    const known = before !== null && before.value === want && (await effective(server, before));
    const written = renderSyncList((await server.settings.get()).syncList) === want;
    if (known && written) return DONE;
    // Not known to be in effect counts as empty: a change that was broken off half-way leaves no other trace.
    const fromEmpty = before === null || before.value === '' || !(await effective(server, before));

    claim.check();
    forget(server);
    const applied = await apply(server, { syncList: list }, end, claim);
    if (applied.kind !== 'done') return applied;
    // Read by every process of the next start, the checkpointer among them: there is nothing to bring into
    // effect.
    if (applied.running === false) {
      note(server, want);
      return { kind: 'done' };
    }
    const now = await shown(server, end.left());
    if (now?.value !== want)
      return failed(`the server shows ${now?.value ?? 'nothing'} instead of the new list`);
    if (now.recovery) return await onStandby(server, now, fromEmpty && want !== '', end);

    const ended = await endSenders(server, end);
    if (ended.kind !== 'done') return ended;
    // Commits do not wait until the checkpointer has seen that there is a list; it looks before it
    // checkpoints.
    if (fromEmpty && want !== '') await server.link.fresh('checkpoint', end.left());
    claim.check();
    note(server, want);
    return DONE;
  });
}

/**
 * Nobody commits here, so nothing depends on it yet. It is brought into effect all the same, as far as that
 * goes: a promotion then opens with it, and cascading walsenders that live through the promotion know it.
 */
async function onStandby(server: Server, now: Shown, ask: boolean, end: Deadline): Promise<Outcome> {
  try {
    const ended = await endSenders(server, end);
    if (ask) await server.link.fresh('checkpoint', end.left());
    if (ended.kind === 'done') note(server, now.value);
  } catch {
    // It will be asked again once it matters, as a primary.
  }
  return DONE;
}

/** A walsender that has not reloaded yet would go on confirming by the list it knows. */
async function endSenders(server: Server, end: Deadline): Promise<Outcome> {
  const where = `backend_type = 'walsender' and not ${systemSenders(server)}`;
  const first = await server.link.query(
    `select pid, backend_start::text as since, pg_terminate_backend(pid) from pg_stat_activity where ${where}`,
    end.left(),
  );
  if (first.length === 0) return DONE;
  const old = first.map((r) => `(${Number(r.pid)}, '${String(r.since)}')`).join(', ');
  const gone = await until(
    async () => {
      const [row] = await server.link.query(
        `select count(*)::int as n from pg_stat_activity where (pid, backend_start::text) in (${old})`,
        Math.max(1, end.left()),
      );
      return row?.n === 0;
    },
    { timeout: end, every: 5 },
  );
  return gone ? DONE : failed('a walsender does not end');
}

const path = (server: Server): string => join(server.o.confDir, 'list_in_effect.json');

/**
 * What is known to be in effect, until the next change begins: a restarted agent, a promotion and the next
 * run of the server, which starts with it, need not repeat it.
 */
function note(server: Server, value: string): void {
  writeAtomically(path(server), JSON.stringify({ value }), 0o600);
}

/** Before a change: broken off half-way, it leaves a server of which nothing is known. */
function forget(server: Server): void {
  removeDurably(path(server));
}

async function effective(server: Server, now: Shown): Promise<boolean> {
  try {
    const noted = JSON.parse((await readText(path(server))) ?? '{}') as { value?: string };
    return noted.value === now.value;
  } catch {
    return false;
  }
}
