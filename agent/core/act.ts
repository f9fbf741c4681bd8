/** Carries actions out, in order, up to the first that fails. The one place from actions to procedures. */
import type { Action, HandoverKind } from './actions.ts';
import { acceptOffer, confirm, refresh, renewWith, takeOver } from './lease.ts';
import type { NodeContext } from './node.ts';
import { call, type Procedure } from './ports.ts';
import type { Fork, Lsn } from './postgres.ts';
import { fenceDown } from './procedures/fence_down.ts';
import { followFiles, leadFiles } from './procedures/files.ts';
import { handover, release } from './procedures/handover.ts';
import { carriedList, carryList, NOBODY } from './procedures/opening.ts';
import { finishPromotion, promote, type Result, reopen, startInPlace } from './procedures/promote.ts';
import { rebuild } from './procedures/rejoin.ts';
import { makeSlots } from './procedures/slots.ts';
import { syncStep } from './procedures/sync.ts';
import { cut, follow, gatherVotes } from './procedures/vote.ts';
import { forksText, lsnText, type Stood } from './records.ts';

const OK: Result = { ok: true };
/** The database that a cluster begins with may have been shut down uncleanly, and be large. */
const FOUND = 60_000;
/** Recovery may take longer: then the server is observed as starting, and followed up by the rules. */
const START_STANDBY = 5000;

export function* act(n: NodeContext, action: Action, newClone: () => string): Procedure<Result> {
  switch (action.do) {
    case 'fence_down':
      yield* fenceDown(n, action.why);
      return OK;
    case 'start_standby': {
      // Cut first: whom it may follow is decided once it runs and its position is known.
      const alone = yield* call('pg', 'setUpstream', null, 2000);
      if (alone.kind !== 'done') return { ok: false, why: alone.why };
      yield* carryList(n);
      return said(yield* call('pg', 'startStandby', START_STANDBY));
    }
    case 'stop_database': {
      const stopped = yield* call('pg', 'stop', 'fast', n.policy.stopTimeout, true);
      return stopped.kind === 'stopped' ? OK : { ok: false, why: stopped.why };
    }
    case 'found':
      return yield* found(n);
    case 'accept':
      return yield* accept(n);
    case 'promote':
      return yield* promote(n);
    case 'finish_promotion':
      return yield* finishPromotion(n);
    case 'start_in_place':
      return yield* startInPlace(n);
    case 'reopen':
      return yield* reopen(n);
    case 'handover':
      return yield* handoverFor(n, action.to, action.reason, action.why);
    case 'release':
      failedAgain(n);
      return yield* release(n, action.reason);
    case 'refuse_request':
      return yield* refuseRequest(n, action.why);
    case 'cut':
      return (yield* cut(n)) ? OK : { ok: false, why: 'the replication could not be cut' };
    case 'ensure_slots':
      return yield* makeSlots(n);
    case 'follow':
      return (yield* follow(n)) ? OK : { ok: false, why: 'not following yet' };
    case 'want':
      n.wants = action.what;
      return OK;
    case 'rebuild':
      return yield* rebuild(n, action.how, n.fork, newClone());
    case 'cancel_task':
      return said(yield* call('pg', 'cancelRebuild'));
    case 'ask_votes':
      yield* gatherVotes(n);
      return OK;
    case 'acquire':
      return yield* acquire(n, action.reason);
    case 'services_up':
      countRepair(n);
      return said(yield* call('services', 'up', n.policy.stopTimeout));
    case 'services_down':
      return said(yield* call('services', 'down', n.policy.servicesStop));
    case 'repair':
      countRepair(n);
      return said(yield* call('services', 'repair', action.names, n.policy.stopTimeout));
    case 'carry_list': {
      const list = carriedList(n);
      return list === undefined ? OK : said(yield* call('pg', 'setSyncList', list, 2000));
    }
    case 'files_lead':
      yield* leadFiles(n);
      return OK;
    case 'files_follow':
      yield* followFiles(n, n.lease.record?.holder ?? null);
      return OK;
    case 'sync_step': {
      const done = yield* syncStep(n);
      if (done !== null)
        n.log({
          component: 'handler-runner',
          level: done.startsWith('DEGRADED') ? 'warn' : 'info',
          message: done,
        });
      return OK;
    }
  }
}

function stoodAt(timeline: number, lsn: Lsn, history: Fork[]): Stood {
  return { timeline, lsn: lsnText(lsn), history: forksText(history) };
}

/** Its data is the cluster's from now on: what it was to a former holder says nothing any more. */
function notDiverged(n: NodeContext): void {
  if (n.wants === 'rewind') n.wants = 'nothing';
}

function countRepair(n: NodeContext): void {
  n.repairs += 1;
  n.repairedAt = n.now();
}

function said(outcome: { kind: 'done' } | { kind: 'failed'; why: string }): Result {
  return outcome.kind === 'done' ? OK : { ok: false, why: outcome.why };
}

function* acquire(n: NodeContext, reason: string): Procedure<Result> {
  const ballot = n.ballot;
  const before = n.lease.firstSeen;
  const record = n.lease.record;
  // How long it had been closed when it was handed over counts only if its holder never opened.
  const opened = record !== null && n.view?.active?.value.epoch === record.epoch;
  const closedFor = opened ? 0 : (record?.closedForMs ?? 0);
  const founding = (n.view?.sync ?? null) === null;
  if (ballot === null && !founding) return { ok: false, why: 'no votes' };
  const stood =
    ballot === null ? undefined : stoodAt(ballot.own.timeline, ballot.own.lsn, ballot.own.history);
  const outcome = yield* takeOver(n, ballot?.index ?? n.lease.index, ballot?.syncIndex ?? 0, reason, stood);
  n.ballot = null;
  const right = n.lease.right;
  if (outcome !== 'ok' || right === null) return { ok: false, why: `the lease was not taken: ${outcome}` };
  n.closedSince = n.now();
  n.outageSince = founding ? null : before - closedFor;
  n.renewing = true;
  notDiverged(n);
  n.mandate =
    founding || ballot === null
      ? { kind: 'founder', epoch: right.epoch }
      : { kind: 'votes', epoch: right.epoch, votes: [ballot.own, ...Object.values(ballot.votes)] };
  n.log({
    component: 'handler-runner',
    level: 'info',
    message: `took the lease, epoch ${right.epoch}: ${reason}`,
  });
  return OK;
}

function* accept(n: NodeContext): Procedure<Result> {
  const offer = n.lease.record;
  const seen = n.lease.firstSeen;
  // The former active has stopped: nothing comes in any more, and what was just seen is where this node stands.
  const at = n.pg?.position ?? null;
  const history = at === null ? null : yield* call('pg', 'history', at.timeline);
  const known = at?.settled === true && history !== null;
  const outcome = yield* acceptOffer(n, known ? stoodAt(at.timeline, at.lsn, history) : undefined);
  const right = n.lease.right;
  if (outcome !== 'ok' || right === null || offer === null)
    return { ok: false, why: `the handover was not accepted: ${outcome}` };
  n.closedSince = n.now();
  n.outageSince = offer.closedForMs === null ? null : seen - offer.closedForMs;
  n.renewing = true;
  notDiverged(n);
  if (offer.clean !== null && offer.from !== null) {
    n.mandate = {
      kind: 'handover',
      epoch: right.epoch,
      timeline: offer.clean.timeline,
      lsn: BigInt(offer.clean.lsn),
      from: offer.from,
    };
  }
  return OK;
}

function* found(n: NodeContext): Procedure<Result> {
  const closed = yield* call('fence', 'close', n.policy.fencingTime);
  if (closed.kind !== 'done') return { ok: false, why: closed.why };
  n.fence = 'closed';
  const alone = yield* call('pg', 'setSyncList', null, 2000);
  if (alone.kind !== 'done') return { ok: false, why: alone.why };
  if (!(yield* confirm(n, n.policy.worstCase.start)))
    return { ok: false, why: 'the lease was not confirmed before the start' };
  const started = yield* call('pg', 'startPrimary', FOUND);
  if (started.kind !== 'done') return { ok: false, why: started.why };
  return yield* finishPromotion(n, NOBODY);
}

/** Out for a while, each time for longer: a fault that every node has is not passed round. */
function failedAgain(n: NodeContext): void {
  n.failedUntil = n.now() + n.policy.failedCooldown * 2 ** Math.min(n.failures, 6);
  n.failures += 1;
}

function* handoverFor(n: NodeContext, to: string, reason: string, why: HandoverKind): Procedure<Result> {
  if (n.checks().failing.length > 0) failedAgain(n);
  const request = n.view?.request?.value ?? null;
  let done: Result;
  try {
    done = yield* handover(n, to, reason, why);
  } finally {
    n.step = null;
  }
  if (!done.ok && request !== null) n.refusedRequest = { id: request.id, why: done.why };
  return done;
}

/** The refusal stays in the key until the next request, so that whoever asked can be told, on any node. */
function* refuseRequest(n: NodeContext, why: string): Procedure<Result> {
  const held = n.view?.request ?? null;
  if (held === null) return OK;
  const outcome = yield* renewWith(n, [
    { verb: 'cas', key: 'request', value: { ...held.value, refused: why }, index: held.index },
  ]);
  yield* refresh(n);
  return outcome === 'ok' ? OK : { ok: false, why: outcome };
}
