/**
 * Becoming active (PROTOCOL D.6, D.7, E.1). In all of it clients stay shut out until k voters have confirmed
 * the branch that they will read; `sync` names the new leader only then.
 */
import type { Result } from '../actions.ts';
import { confirm, refresh, renewWith } from '../lease.ts';
import { remaining } from '../lease_view.ts';
import { useMandate } from '../memory/candidacy.ts';
import { slotsMayBeLost } from '../memory/database.ts';
import { countRestart, isUpAgain, startFailed } from '../memory/failures.ts';
import { beginOutageUnlessBegun, endOutage, letIn, shut } from '../memory/fence.ts';
import { hasOpened } from '../memory/hooks.ts';
import { forgetRepairs } from '../memory/services.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure, type TxnOp } from '../ports.ts';
import { forksText, type SyncRecord } from '../records.ts';
import { confirmedVoters, everyOtherWaitsForRewind, staysShut } from './confirmation.ts';
import { covered, listOf, sameList } from './cover.ts';
import { extend } from './extend.ts';
import { NOBODY, type Opening, openingVoters, quorumSize } from './opening.ts';
import { activeRecord, historyOp, nextTimeline } from './promotion_records.ts';
import { slotsOrWarn } from './slots.ts';

const failed = (why: string): Result => ({ ok: false, why });
const OK: Result = { ok: true };

/** Promote this cut or handed-over standby under its mandate, then open. */
export function* promote(n: NodeContext): Procedure<Result> {
  const mandate = n.candidacy.mandate;
  const right = n.lease.right;
  if (mandate === null || right === null || mandate.epoch !== right.epoch)
    return failed('no mandate for this epoch');
  // After a clean handover there is nobody left to stream from; a candidate by votes stays cut off as it
  // voted.
  if (mandate.kind !== 'handover' && !(yield* cutOff(n))) return failed('replication could not be cut off');
  const at = yield* call('pg', 'position', 1000);
  if (at === null || !at.settled) return failed("this node's WAL position is unknown");
  if (mandate.kind === 'handover' && !(at.timeline === mandate.timeline && at.replayed > mandate.lsn)) {
    return failed('the shutdown checkpoint of the former active is not replayed here');
  }
  if (
    mandate.kind === 'votes' &&
    mandate.votes.some((v) => v.node === n.name && (v.timeline !== at.timeline || v.lsn > at.lsn))
  ) {
    return failed("this node's WAL position is not the one that was voted on");
  }
  const timeline = nextTimeline(n, at.timeline);
  const reserved = yield* renewWith(n, [historyOp(n, right.epoch, timeline, null)]);
  if (reserved !== 'ok') return failed(`the timeline was not reserved: ${reserved}`);
  if (timeline > at.timeline + 1 && !(yield* cutOff(n))) return failed('replication could not be cut off');
  const placed = yield* call('pg', 'reserveTimelines', timeline);
  if (placed.kind !== 'done') return failed(placed.why);
  const opening = openingVoters(n);
  const list = listOf(opening.voters, opening.k);
  // A standby carries it already as a rule; it is made sure of, and of being in effect, once more before
  // clients come in.
  if (!sameList(n.db.facts?.syncList ?? null, list)) {
    const listed = yield* call('pg', 'setSyncList', list, 2000);
    if (listed.kind !== 'done') return failed(listed.why);
  }
  const done = yield* call('hooks', 'run', 'pre-promote', { epoch: `${right.epoch}` });
  if (done.kind !== 'done')
    n.log({ component: 'handler-runner', level: 'warn', message: `pre-promote: ${done.why}` });
  yield* slotsOrWarn(n);
  if (!(yield* confirm(n, n.policy.worstCase.promote)))
    return failed('the lease was not confirmed before the promotion');
  const promoted = yield* call('pg', 'promote', 10_000);
  // From here on this mandate is used up: a second promotion needs a new epoch.
  useMandate(n.candidacy);
  if (promoted.kind !== 'done') return failed(promoted.why);
  if (promoted.timeline !== timeline)
    return failed(`promoted to timeline ${promoted.timeline}, ${timeline} was reserved`);
  return yield* finishPromotion(n, opening);
}

function* cutOff(_n: NodeContext): Procedure<boolean> {
  return (yield* call('pg', 'setUpstream', null, 2000)).kind === 'done';
}

/**
 * The promoted, still fenced server: effective list, coverage, `sync` and `active` in one transaction, then
 * open.
 */
export function* finishPromotion(n: NodeContext, opening: Opening = openingVoters(n)): Procedure<Result> {
  const right = n.lease.right;
  if (right === null) return failed('no lease');
  const strict = n.policy.synchronousMode === 'strict';
  const nobody = strict && opening.voters.length === 0 && quorumSize(n) > 0;
  if (nobody && !everyOtherWaitsForRewind(n))
    return failed('there is no standby that could confirm, and the mode is strict');
  // Whoever is to confirm reads from its own slot; those of a promotion that an agent did not live to the end
  // of are made here.
  yield* slotsOrWarn(n);
  const effective = yield* call('pg', 'setSyncList', listOf(opening.voters, opening.k), 3000);
  if (effective.kind !== 'done') return failed(effective.why);
  const state = yield* call('pg', 'replication', 1000);
  if (state === null) return failed('the server does not answer');
  const history = yield* call('pg', 'history', state.timeline);
  // Written without it, `sync` would make every standby look diverged.
  if (history === null) return failed("the history of this node's timeline cannot be read");
  const confirmed = nobody ? null : yield* confirmedVoters(n, opening);
  if (confirmed === null && strict) return failed(yield* staysShut(n, state.timeline, history));
  if (confirmed === null)
    n.log({
      component: 'handler-runner',
      level: 'warn',
      message: 'DEGRADED: no standby confirms; opening without synchronous replication',
    });
  const { voters, k } = confirmed ?? NOBODY;
  const forks = forksText(history);
  const sync: SyncRecord = {
    schema: 1,
    leader: n.name,
    epoch: right.epoch,
    timeline: state.timeline,
    history: forks,
    voters,
    k,
  };
  const announce = (): TxnOp[] => [
    { verb: 'cas', key: 'sync', value: sync, index: n.view?.sync?.index ?? 0 },
    { verb: 'set', key: 'active', value: activeRecord(n, state.timeline) },
    historyOp(n, right.epoch, state.timeline, { insert: state.insert, forks }),
    // A switchover that ended here is no request any more.
    ...(n.view?.request?.value.target === n.name ? [{ verb: 'delete', key: 'request' } as const] : []),
  ];
  let written = yield* renewWith(n, announce());
  // Refused: `sync` was read too long ago. The outcome was settled by reading, so now it is known.
  if (written === 'refused') written = yield* renewWith(n, announce());
  if (written !== 'ok') return failed(`the sync record was not written: ${written}`);
  if (voters.length === 0) {
    const loosened = yield* call('pg', 'setSyncList', null, 3000);
    if (loosened.kind !== 'done') return failed(loosened.why);
  }
  return yield* open(n, { epoch: `${right.epoch}`, timeline: `${state.timeline}` });
}

/**
 * Restart in place (PROTOCOL D.7): recovery can expose what nobody confirmed, so clients wait until k voters
 * have it.
 */
export function* startInPlace(n: NodeContext): Procedure<Result> {
  const at = n.now();
  countRestart(n.failures, at, n.policy.restartWindow);
  beginOutageUnlessBegun(n.fence, at);
  const closed = yield* call('fence', 'close', n.policy.fencingTime);
  if (closed.kind === 'done') shut(n.fence);
  if (n.db.facts?.process === 'running') {
    const stopped = yield* call('pg', 'stop', 'immediate', n.policy.stopTimeout, false);
    if (stopped.kind !== 'stopped') return failed(stopped.why);
  }
  if (!(yield* confirm(n, n.policy.worstCase.start)))
    return failed('the lease was not confirmed before a writable start');
  const started = yield* call('pg', 'startPrimary', n.policy.primaryStartTimeout);
  if (started.kind !== 'done') {
    startFailed(n.failures, at);
    return failed(`PostgreSQL did not start: ${started.why}`);
  }
  // Recovery ends with a checkpoint, which may have given up a slot that held too much back.
  slotsMayBeLost(n.db);
  return yield* reopen(n);
}

/** A writable, fenced server of the leader that `sync` names: open once its voters have all of it. */
export function* reopen(n: NodeContext): Procedure<Result> {
  const held = n.view?.sync ?? null;
  const sync = held?.value;
  if (held === null || sync === undefined || sync.leader !== n.name || sync.epoch !== n.lease.right?.epoch)
    return failed('the sync record names another leader');
  // Whom to wait for is what the key says now: what was read may be older than our own last write of it.
  const present = yield* renewWith(n, [{ verb: 'check-index', key: 'sync', index: held.index }]);
  if (present !== 'ok') {
    yield* refresh(n);
    return failed(`the voters were not confirmed: ${present}`);
  }
  yield* slotsOrWarn(n);
  const list = listOf(sync.voters, sync.k);
  if (list === null && n.policy.synchronousMode === 'strict' && quorumSize(n) > 0)
    return failed('no standby is a voter yet, and the mode is strict');
  if (!(yield* covered(n, list, n.policy.openWait))) {
    if (n.policy.synchronousMode === 'strict') return failed('no standby confirms, and the mode is strict');
    if (!(yield* refresh(n))) return failed('Consul does not answer');
    const now = n.view?.sync;
    if (now === undefined || now === null) return failed('there is no sync record');
    n.log({
      component: 'handler-runner',
      level: 'warn',
      message: 'DEGRADED: no standby confirms; opening without synchronous replication',
    });
    const op: TxnOp = {
      verb: 'cas',
      key: 'sync',
      value: { ...now.value, voters: [], k: 0 },
      index: now.index,
    };
    if ((yield* renewWith(n, [op])) !== 'ok') return failed('the sync record was not written');
    yield* refresh(n);
    const loosened = yield* call('pg', 'setSyncList', null, 3000);
    if (loosened.kind !== 'done') return failed(loosened.why);
  }
  const announced = yield* announceLate(n);
  if (announced === 'unwritten') return failed('the record `active` was not written');
  return yield* open(n, announced);
}

/**
 * A promotion that `sync` names already and `active` does not: it stayed shut until somebody confirmed
 * (staysShut). Told to the hooks as one; null when there is nothing to announce.
 */
function* announceLate(n: NodeContext): Procedure<Record<string, string> | null | 'unwritten'> {
  const sync = n.view?.sync?.value;
  const epoch = n.lease.right?.epoch;
  if (sync === undefined || epoch === undefined || n.view?.active?.value.epoch === epoch) return null;
  const state = yield* call('pg', 'replication', 1000);
  if (state === null) return 'unwritten';
  const opened = { insert: state.insert, forks: sync.history };
  const written = yield* renewWith(n, [
    { verb: 'set', key: 'active', value: activeRecord(n, sync.timeline) },
    historyOp(n, epoch, sync.timeline, opened),
  ]);
  yield* refresh(n);
  return written === 'ok' ? { epoch: `${epoch}`, timeline: `${sync.timeline}` } : 'unwritten';
}

/** `promoted`: told to the hooks when this is the end of a promotion, and not the same active again. */
export function* open(n: NodeContext, promoted: Record<string, string> | null = null): Procedure<Result> {
  if (remaining(n.lease, n.now()) <= n.policy.worstCase.open + n.policy.retryPeriod) {
    if (!(yield* confirm(n, n.policy.worstCase.open)))
      return failed('the lease was not confirmed before opening');
  }
  const right = n.lease.right;
  if (right === null) return failed('no lease');
  const opened = yield* call('fence', 'open', right.until, n.policy.worstCase.open);
  if (opened.kind !== 'done') return failed(opened.why);
  letIn(n.fence, right.until, n.now());
  hasOpened(n.hooks, promoted);
  if (promoted !== null) forgetRepairs(n.services);
  // What was renewed while it opened, the keeper did not pass on.
  if (n.lease.right !== null && n.lease.right.until > right.until) yield* extend(n);
  isUpAgain(n.failures);
  const downtime = endOutage(n.fence, n.now());
  n.log({
    component: 'handler-runner',
    level: 'info',
    message: `open under epoch ${right.epoch}${downtime === null ? '' : ` after ${downtime} ms`}`,
  });
  return OK;
}
