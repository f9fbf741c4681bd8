/**
 * Taking the lease: by votes, by accepting what was handed over, and the start of a cluster that follows the
 * first one.
 */
import type { Result } from '../actions.ts';
import { acceptOffer, confirm, takeOver } from '../lease.ts';
import { giveMandate, spendBallot } from '../memory/candidacy.ts';
import { isNotDiverged } from '../memory/copy.ts';
import { beginTerm, shut } from '../memory/fence.ts';
import { holdOn } from '../memory/holding.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import type { Fork, Lsn } from '../postgres.ts';
import { forksText, lsnText, type Stood } from '../records.ts';
import { NOBODY } from './opening.ts';
import { finishPromotion } from './promote.ts';

const OK: Result = { ok: true };
/** The database that a cluster begins with may have been shut down uncleanly, and be large. */
const FOUND = 60_000;

function stoodAt(timeline: number, lsn: Lsn, history: Fork[]): Stood {
  return { timeline, lsn: lsnText(lsn), history: forksText(history) };
}

/** The lease is this node's. `outageSince`: as far as it can tell, own clock. */
function began(n: NodeContext, outageSince: number | null): void {
  beginTerm(n.fence, n.now(), outageSince);
  holdOn(n.holding);
  isNotDiverged(n.copy);
}

export function* acquire(n: NodeContext, reason: string): Procedure<Result> {
  const ballot = n.candidacy.ballot;
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
  spendBallot(n.candidacy);
  const right = n.lease.right;
  if (outcome !== 'ok' || right === null) return { ok: false, why: `the lease was not taken: ${outcome}` };
  began(n, founding ? null : before - closedFor);
  giveMandate(
    n.candidacy,
    founding || ballot === null
      ? { kind: 'founder', epoch: right.epoch }
      : { kind: 'votes', epoch: right.epoch, votes: [ballot.own, ...Object.values(ballot.votes)] },
  );
  n.log({
    component: 'handler-runner',
    level: 'info',
    message: `took the lease, epoch ${right.epoch}: ${reason}`,
  });
  return OK;
}

export function* accept(n: NodeContext): Procedure<Result> {
  const offer = n.lease.record;
  const seen = n.lease.firstSeen;
  // The former active has stopped: nothing comes in any more, and what was just seen is where this node
  // stands.
  const at = n.db.facts?.position ?? null;
  const history = at === null ? null : yield* call('pg', 'history', at.timeline);
  const known = at?.settled === true && history !== null;
  const outcome = yield* acceptOffer(n, known ? stoodAt(at.timeline, at.lsn, history) : undefined);
  const right = n.lease.right;
  if (outcome !== 'ok' || right === null || offer === null)
    return { ok: false, why: `the handover was not accepted: ${outcome}` };
  began(n, offer.closedForMs === null ? null : seen - offer.closedForMs);
  if (offer.clean !== null && offer.from !== null) {
    giveMandate(n.candidacy, {
      kind: 'handover',
      epoch: right.epoch,
      timeline: offer.clean.timeline,
      lsn: BigInt(offer.clean.lsn),
      from: offer.from,
    });
  }
  return OK;
}

export function* found(n: NodeContext): Procedure<Result> {
  const closed = yield* call('fence', 'close', n.policy.fencingTime);
  if (closed.kind !== 'done') return { ok: false, why: closed.why };
  shut(n.fence);
  const alone = yield* call('pg', 'setSyncList', null, 2000);
  if (alone.kind !== 'done') return { ok: false, why: alone.why };
  if (!(yield* confirm(n, n.policy.worstCase.start)))
    return { ok: false, why: 'the lease was not confirmed before the start' };
  const started = yield* call('pg', 'startPrimary', FOUND);
  if (started.kind !== 'done') return { ok: false, why: started.why };
  return yield* finishPromotion(n, NOBODY);
}
