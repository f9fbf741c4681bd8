/**
 * Switchover (PROTOCOL D.8) and giving up the lease. A *confirmed* stop is the condition for handing anything
 * over.
 */
import type { HandoverKind, Result } from '../actions.ts';
import { giveAway } from '../lease.ts';
import { standBack } from '../memory/candidacy.ts';
import { seeAgain } from '../memory/database.ts';
import { beginOutage, passOutageOn, shut, shutIf } from '../memory/fence.ts';
import { letRunOut } from '../memory/holding.ts';
import { demoted, hookLater } from '../memory/hooks.ts';
import { waitsFor } from '../memory/main.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import { confirmedBy, type Lsn } from '../postgres.ts';
import { lsnText } from '../records.ts';
import { reopen, startInPlace } from './promote.ts';

const POLL = 10;

/** A unit that systemd has to stop after the agent does not stop for it: it is killed soon. */
const SHUTDOWN = { target: 500, checkpoint: 1000, services: 1500, files: 500 };

/** How long each step before the stop may take: an operator can wait, a machine that goes down cannot. */
function bounds(n: NodeContext, why: HandoverKind): typeof SHUTDOWN {
  const { switchoverWait, filesWait, servicesStop } = n.policy;
  if (why === 'shutdown') return SHUTDOWN;
  return {
    services: servicesStop,
    target: Math.min(switchoverWait, 10_000),
    checkpoint: switchoverWait,
    files: Math.min(switchoverWait, why === 'requested' ? filesWait : 2000),
  };
}

/**
 * Planned change of the active to `target`. Cancelled, it stays active; where it cannot, the lease is
 * released or runs out.
 */
export function* handover(
  n: NodeContext,
  target: string,
  reason: string,
  why: HandoverKind = 'requested',
): Procedure<Result> {
  const bound = bounds(n, why);
  waitsFor(n.main, `until ${target} has caught up`);
  if (!(yield* targetReady(n, target, bound.target)))
    return { ok: false, why: `${target} has not caught up` };
  waitsFor(n.main, 'for the hook pre-demote');
  if (why === 'shutdown') hookLater(n.hooks, 'pre-demote', { target });
  else {
    const hook = yield* call('hooks', 'run', 'pre-demote', { target });
    if (hook.kind !== 'done') warn(n, `pre-demote: ${hook.why}`);
  }
  // While the database serves, a broker that takes seconds to stop costs its clients nothing: the services
  // come first, and what is off until then is only them. Cancelled, main starts them again.
  const serves = n.fence.state === 'open' && n.db.facts?.role === 'primary' && n.db.facts.accepting;
  if (serves) {
    const quiet = yield* quieten(n, target, bound, why, reason);
    if (quiet !== null) return { ok: false, why: quiet };
  }
  // What the clean stop would have to write is written while clients still work.
  waitsFor(n.main, 'for a checkpoint');
  const written = yield* call('pg', 'checkpoint', bound.checkpoint);
  if (written.kind !== 'done' && why !== 'shutdown')
    return { ok: false, why: `no checkpoint before the stop: ${written.why}` };
  const closedAt = n.now();
  beginOutage(n.fence, closedAt);
  const closed = yield* call('fence', 'close', n.policy.fencingTime);
  shutIf(n.fence, closed.kind === 'done');
  if (closed.kind !== 'done') return yield* stay(n, `clients could not be shut out: ${closed.why}`);
  if (!serves) {
    const quiet = yield* quieten(n, target, bound, why, reason);
    if (quiet !== null) return yield* stay(n, quiet);
  }
  waitsFor(n.main, 'for PostgreSQL to stop');
  const stopped = yield* call('pg', 'stop', 'fast', n.policy.stopTimeout, true);
  if (stopped.kind !== 'stopped') {
    // Not confirmed: nobody may be told to go on. Fenced, the lease runs out.
    letRunOut(n.holding);
    return { ok: false, why: `PostgreSQL did not stop: ${stopped.why}` };
  }
  if (!stopped.clean || stopped.checkpoint === null)
    return yield* release(n, `${reason}; the stop was not clean`, closedAt);
  waitsFor(n.main, `until ${target} has replayed the end of the log`);
  if (!(yield* replayed(n, target, stopped.timeline, stopped.checkpoint))) {
    return yield* stay(n, `${target} did not replay the shutdown checkpoint in time`);
  }
  const clean = { timeline: stopped.timeline, lsn: lsnText(stopped.checkpoint) };
  const given = yield* giveAway(n, target, reason, clean, Math.round(n.now() - closedAt));
  n.log({ component: 'handler-runner', level: 'info', message: `handed over to ${target}: ${given}` });
  passOutageOn(n.fence);
  demoted(n.hooks, { to: target, reason });
  // Unknown: the own right is gone either way; the keeper may take the lease back while the target has not
  // renewed.
  return given === 'ok' ? { ok: true } : { ok: false, why: `handover ${given}` };
}

/** Services stopped, and the files that they wrote are at the target. Null, or why it is off. */
function* quieten(
  n: NodeContext,
  target: string,
  bound: ReturnType<typeof bounds>,
  why: HandoverKind,
  reason: string,
): Procedure<string | null> {
  waitsFor(n.main, 'for its services to stop');
  const down = yield* call('services', 'down', bound.services);
  if (down.kind !== 'done') return `services did not stop: ${down.why}`;
  waitsFor(n.main, `until ${target} has the files`);
  const lacks = yield* settleFiles(n, target, bound.files);
  if (lacks !== null && why === 'requested') return lacks;
  if (lacks !== null) warn(n, `${lacks}; handing over anyway: ${reason}`);
  return null;
}

/** Release after a confirmed stop, so that the best candidate by votes goes on at once. */
export function* release(
  n: NodeContext,
  reason: string,
  closedAt: number | null = n.fence.closedSince,
): Procedure<Result> {
  const closed = yield* call('fence', 'close', n.policy.fencingTime);
  if (closed.kind === 'done') shut(n.fence);
  const stopped = yield* call('pg', 'stop', 'immediate', n.policy.stopTimeout, true);
  if (stopped.kind !== 'stopped') {
    letRunOut(n.holding);
    return { ok: false, why: `PostgreSQL did not stop: ${stopped.why}` };
  }
  const ms = n.main.stopping === 'shutdown' ? SHUTDOWN.services : n.policy.servicesStop;
  yield* call('services', 'down', ms);
  standBack(n.candidacy, n.now() + n.policy.cooldown);
  const given = yield* giveAway(
    n,
    '',
    reason,
    null,
    closedAt === null ? null : Math.round(n.now() - closedAt),
  );
  demoted(n.hooks, { to: '', reason });
  return given === 'ok' ? { ok: true } : { ok: false, why: `release ${given}` };
}

/**
 * The switchover is off: open again as the active that we still are. A server that was not stopped need not
 * be started.
 */
function* stay(n: NodeContext, why: string): Procedure<Result> {
  warn(n, `switchover cancelled: ${why}`);
  const pg = yield* call('pg', 'facts', 500);
  seeAgain(n.db, pg);
  const runs = pg.process === 'running' && pg.role === 'primary' && pg.accepting;
  const back = yield* runs ? reopen(n) : startInPlace(n);
  return { ok: false, why: back.ok ? why : `${why}; and it could not be restarted in place: ${back.why}` };
}

/** Nothing writes files any more: they are all scanned, and the target has them. Null, or what is missing. */
function* settleFiles(n: NodeContext, target: string, ms: number): Procedure<string | null> {
  if (n.files.facts.state === 'off') return null;
  const settled = yield* call('files', 'settle', target, ms);
  return settled.kind === 'done' ? null : `the files of ${target} are not complete: ${settled.why}`;
}

/** Does the target stream from us and confirm (nearly) all of it? Asked before anything is stopped. */
function* targetReady(n: NodeContext, target: string, ms: number): Procedure<boolean> {
  const clone = n.view?.states[target]?.clone;
  const until = n.now() + ms;
  const lag = BigInt(n.policy.switchoverLag);
  while (n.now() < until) {
    const seen = yield* call('pg', 'replication', 1000);
    const sender = seen?.senders.find((s) => s.name === `${target}_${clone}`);
    const follows = sender !== undefined && confirmedBy(sender) !== null;
    if (seen !== null && follows && sender.replay !== null && seen.insert - sender.replay <= lag) return true;
    yield* call('time', 'sleep', 50);
  }
  return false;
}

function* replayed(n: NodeContext, target: string, timeline: number, checkpoint: Lsn): Procedure<boolean> {
  const until = n.now() + Math.min(n.policy.switchoverWait, 3000);
  while (n.now() < until) {
    const seen = yield* call('peers', 'state', target, 500);
    if (seen !== null && seen.timeline === timeline && seen.replayed > checkpoint) return true;
    yield* call('time', 'sleep', POLL);
  }
  return false;
}

const warn = (n: NodeContext, message: string) =>
  n.log({ component: 'handler-runner', level: 'warn', message });
