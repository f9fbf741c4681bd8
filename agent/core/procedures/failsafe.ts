/**
 * Failsafe (CONTRACTS 8, PROTOCOL G): Consul does not answer, but every member's agent does, and none of them
 * is after the lease. Each acknowledgement restarts that member's own challenger clock, so the holder's right
 * may run on from before it asked. Nothing else is possible meanwhile: no voter list is loosened, no role
 * changes, nothing is started writable.
 */
import { grant, rightOf, seenTimes } from '../lease_times.ts';
import { isMine, remaining } from '../lease_view.ts';
import { beginFailsafe, forgetFailsafe } from '../memory/holding.ts';
import type { NodeContext, Owning } from '../node.ts';
import { call, type FailsafeRequest, type Procedure } from '../ports.ts';
import { extend } from './extend.ts';
import { mayFollow } from './vote.ts';

/**
 * Consul was silent for a whole retry period: ask the members, and keep the kernel lease going on their word.
 */
export function* failsafe(n: NodeContext): Procedure<void> {
  if (!n.policy.failsafe || remaining(n.lease, n.now()) > n.policy.renewDeadline - n.policy.retryPeriod)
    return;
  if (!(yield* askFailsafe(n))) return;
  if (beginFailsafe(n.holding, n.now()))
    n.log({
      component: 'consul-recovery-watcher',
      level: 'warn',
      message: 'FAILSAFE: Consul does not answer; every member agrees that this node stays active',
    });
  yield* extend(n);
}

/** The lease was renewed: it goes by Consul again. */
export function endFailsafe(n: NodeContext): void {
  const since = forgetFailsafe(n.holding);
  if (since === null) return;
  const seconds = ((n.now() - since) / 1000).toFixed(1);
  n.log({
    component: 'consul-recovery-watcher',
    level: 'info',
    message: `Consul answers again, after ${seconds} s of failsafe`,
  });
}

/** Ask every member; extends the own right when all of them agree. True: extended. */
export function* askFailsafe(n: Owning<'lease'>): Procedure<boolean> {
  const right = n.lease.right;
  const members = Object.keys(n.view?.nodes ?? {}).filter((name) => name !== n.name);
  if (right === null || members.length === 0 || !isMine(n.lease, n.name, n.instance)) return false;
  // A write of which nothing is known may have entered a member that is not asked: without votes it could
  // take over alone.
  if (n.holding.unsettled && n.policy.synchronousMode === 'off') return false;
  const asked = n.now();
  const request: FailsafeRequest = { holder: n.name, instance: n.instance, epoch: right.epoch };
  const agreed = yield* call('peers', 'failsafe', members, request, n.policy.retryPeriod);
  if (!members.every((name) => agreed.includes(name))) return false;
  // The guard may have ended the right meanwhile, or Consul's word may have come.
  const now = n.lease.right;
  if (
    now === null ||
    now.epoch !== right.epoch ||
    n.fence.running > 0 ||
    !isMine(n.lease, n.name, n.instance)
  )
    return false;
  // By the record that the members may have seen last, the own latest write among them if its outcome is
  // unknown.
  const lasts = Math.min(rightOf(n, seenTimes(n, n.lease.record)), n.lease.unsettledDeadline);
  n.lease = grant(n.lease, now.epoch, Math.max(now.until, asked + lasts));
  return true;
}

/**
 * A member's answer: it restarts its clock for this holder's lease, unless it gave a vote against it or knows
 * of another.
 */
export function answerFailsafe(n: Owning<'lease'>, request: FailsafeRequest): boolean {
  const record = n.lease.record;
  if (record === null || n.fence.running > 0) return false;
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
