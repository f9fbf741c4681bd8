/** Carries actions out, in order, up to the first that fails. The one place from actions to procedures. */
import type { Action, HandoverKind, Result } from './actions.ts';
import { refresh, renewWith } from './lease.ts';
import { want } from './memory/copy.ts';
import { failAgain } from './memory/failures.ts';
import { refuse, waitsFor } from './memory/main.ts';
import { countRepair } from './memory/services.ts';
import type { NodeContext } from './node.ts';
import { call, type Procedure } from './ports.ts';
import { fenceDown } from './procedures/fence_down.ts';
import { followFiles, leadFiles } from './procedures/files.ts';
import { handover, release } from './procedures/handover.ts';
import { carriedList, carryList } from './procedures/opening.ts';
import { finishPromotion, promote, reopen, startInPlace } from './procedures/promote.ts';
import { rebuild } from './procedures/rejoin.ts';
import { makeSlots } from './procedures/slots.ts';
import { syncStep } from './procedures/sync.ts';
import { accept, acquire, found } from './procedures/take.ts';
import { cut, follow, gatherVotes } from './procedures/vote.ts';

const OK: Result = { ok: true };
/** Recovery may take longer: then the server is observed as starting, and followed up by the rules. */
const START_STANDBY = 5000;

export function* act(n: NodeContext, action: Action, newClone: () => string): Procedure<Result> {
  switch (action.do) {
    case 'fence_down':
      yield* fenceDown(n, action.why);
      return OK;
    case 'start_standby':
      return yield* startStandby(n);
    case 'stop_database':
      return yield* stopDatabase(n);
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
      failAgain(n.failures, n.now(), n.policy.failedCooldown);
      return yield* release(n, action.reason);
    case 'refuse_request':
      return yield* refuseRequest(n, action.why);
    case 'cut':
      return (yield* cut(n)) ? OK : { ok: false, why: 'replication could not be cut off' };
    case 'ensure_slots':
      return yield* makeSlots(n);
    case 'follow':
      return (yield* follow(n)) ? OK : { ok: false, why: 'not following yet' };
    case 'want':
      want(n.copy, action.what);
      return OK;
    case 'rebuild':
      return yield* rebuild(n, action.how, n.db.fork, newClone());
    case 'cancel_task':
      return said(yield* call('pg', 'cancelRebuild'));
    case 'ask_votes':
      yield* gatherVotes(n);
      return OK;
    case 'acquire':
      return yield* acquire(n, action.reason);
    case 'services_up':
      countRepair(n.services, n.now());
      return said(yield* call('services', 'up', n.policy.stopTimeout));
    case 'services_down':
      return said(yield* call('services', 'down', n.policy.servicesStop));
    case 'repair':
      countRepair(n.services, n.now());
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
    case 'sync_step':
      return yield* stepVoters(n);
  }
}

function* startStandby(n: NodeContext): Procedure<Result> {
  // Cut first: whom it may follow is decided once it runs and its position is known.
  const alone = yield* call('pg', 'setUpstream', null, 2000);
  if (alone.kind !== 'done') return { ok: false, why: alone.why };
  yield* carryList(n);
  return said(yield* call('pg', 'startStandby', START_STANDBY));
}

function* stopDatabase(n: NodeContext): Procedure<Result> {
  const stopped = yield* call('pg', 'stop', 'fast', n.policy.stopTimeout, true);
  return stopped.kind === 'stopped' ? OK : { ok: false, why: stopped.why };
}

function* stepVoters(n: NodeContext): Procedure<Result> {
  const done = yield* syncStep(n);
  if (done !== null)
    n.log({
      component: 'handler-runner',
      level: done.startsWith('DEGRADED') ? 'warn' : 'info',
      message: done,
    });
  return OK;
}

function said(outcome: { kind: 'done' } | { kind: 'failed'; why: string }): Result {
  return outcome.kind === 'done' ? OK : { ok: false, why: outcome.why };
}

function* handoverFor(n: NodeContext, to: string, reason: string, why: HandoverKind): Procedure<Result> {
  if (n.checks().failing.length > 0) failAgain(n.failures, n.now(), n.policy.failedCooldown);
  const request = n.view?.request?.value ?? null;
  let done: Result;
  try {
    done = yield* handover(n, to, reason, why);
  } finally {
    waitsFor(n.main, null);
  }
  if (!done.ok && request !== null) refuse(n.main, request.id, done.why);
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
