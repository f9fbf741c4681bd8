/**
 * Failsafe (CONTRACTS 8, PROTOCOL G): Consul does not answer, but every member's agent does, and none of them is after the
 * lease. Each acknowledgement restarts that member's own challenger clock, so the holder's right may run on from before
 * it asked. Nothing else is possible meanwhile: no voter list is loosened, no role changes, nothing is started writable.
 */
import { grant, rightOf, seenTimes } from '../lease_times.ts';
import { isMine } from '../lease_view.ts';
import type { NodeContext } from '../node.ts';
import { call, type FailsafeRequest, type Procedure } from '../ports.ts';
import { mayFollow } from './vote.ts';

/** Ask every member; extends the own right when all of them agree. True: extended. */
export function* askFailsafe(n: NodeContext): Procedure<boolean> {
  const right = n.lease.right;
  const members = Object.keys(n.view?.nodes ?? {}).filter((name) => name !== n.name);
  if (right === null || members.length === 0 || !isMine(n.lease, n.name, n.instance)) return false;
  // A write of which nothing is known may have entered a member that is not asked: without votes it could take over alone.
  if (n.unsettled && n.policy.synchronousMode === 'off') return false;
  const asked = n.now();
  const request: FailsafeRequest = { holder: n.name, instance: n.instance, epoch: right.epoch };
  const agreed = yield* call('peers', 'failsafe', members, request, n.policy.retryPeriod);
  if (!members.every((name) => agreed.includes(name))) return false;
  // The guard may have ended the right meanwhile, or Consul's word may have come.
  const now = n.lease.right;
  if (now === null || now.epoch !== right.epoch || n.fencing > 0 || !isMine(n.lease, n.name, n.instance))
    return false;
  // By the record that the members may have seen last, the own latest write among them if its outcome is unknown.
  const lasts = Math.min(rightOf(n, seenTimes(n, n.lease.record)), n.lease.unsettledDeadline);
  n.lease = grant(n.lease, now.epoch, Math.max(now.until, asked + lasts));
  return true;
}

/** A member's answer: it restarts its clock for this holder's lease, unless it gave a vote against it or knows of another. */
export function answerFailsafe(n: NodeContext, request: FailsafeRequest): boolean {
  const record = n.lease.record;
  if (record === null || n.fencing > 0) return false;
  if (
    record.holder !== request.holder ||
    record.instance !== request.instance ||
    record.epoch !== request.epoch
  )
    return false;
  if (!mayFollow(n, record, n.lease.index)) return false;
  n.lease = { ...n.lease, firstSeen: n.now() };
  return true;
}
