/** What one tick of main looks at: the server, the services, the files, and what was learned since the last. */
import { type Facts, factsOf } from './facts.ts';
import type { NodeContext } from './node.ts';
import { call, type Procedure } from './ports.ts';
import { whenServicesRun } from './procedures/hooks.ts';
import { mayWipe } from './procedures/rejoin.ts';
import { mayFollow } from './procedures/vote.ts';
import type { StateRecord } from './records.ts';

/** What is published at once; the rest goes with the next heartbeat. Files count by the power of two. */
export function newsOf(state: StateRecord): string {
  const left = Math.ceil(Math.log2((state.files?.needBytes ?? 0) + 1));
  const files = { ...state.files, needItems: 0, needBytes: left };
  // How many bytes or files a switchover waits for changes with every look.
  const waiting = state.waiting?.why.replaceAll(/\d+/g, '#');
  return JSON.stringify({ ...state, files, waiting, at: '', lsn: '', reason: '' });
}

/** That the operator wants the database copied again is not forgotten by a restart. */
export function* keepWish(n: NodeContext): Procedure<void> {
  const wants = n.wants === 'reclone' ? n.wants : undefined;
  if (n.durable.wants === wants) return;
  n.durable = { ...n.durable, wants };
  yield* call('store', 'save', n.durable);
}

/** Services that have run for this long count as well: the next end is the first one. */
const WELL_AGAIN = 60_000;
/** An active that has been well for so many cooldowns has not failed one soon after the other. */
const WELL_FOR = 10;

export function* gather(n: NodeContext): Procedure<Facts> {
  // A task that ends meanwhile has changed what is read here: this look is still one of a node that copies.
  const before = n.task;
  const pg = yield* call('pg', 'facts', 500);
  const services = yield* call('services', 'facts');
  n.files = yield* call('files', 'facts');
  const timeline = pg.position?.timeline ?? 0;
  if (timeline !== (n.pg?.position?.timeline ?? 0) || n.branchHistory === null) {
    n.branchHistory = timeline === 0 ? null : yield* call('pg', 'history', timeline);
  }
  n.pg = pg;
  n.pgAt = n.now();
  if (n.fence === 'unknown' && pg.fenced !== 'unknown') n.fence = pg.fenced ? 'closed' : 'open';
  if (pg.process === 'stopped') n.fence = 'closed';
  const open = pg.role === 'primary' && pg.accepting && n.fence === 'open';
  if (open || n.lease.right === null) n.closedSince = null;
  else n.closedSince ??= n.now();
  if (open && n.lease.right !== null) n.serving = true;
  whenServicesRun(n, services.missing.length);
  if (open && n.checks().failing.length === 0 && n.now() - n.openedAt > n.policy.failedCooldown * WELL_FOR)
    n.failures = 0;
  if (open) n.hadStandby = pg.walSenders.some((s) => s.state === 'streaming');
  if (services.missing.length + services.missingAlways.length === 0 && n.now() - n.repairedAt > WELL_AGAIN)
    n.repairs = 0;
  const asked = n.view?.request?.value.id ?? null;
  if (asked !== (n.requestSeen?.id ?? null))
    n.requestSeen = asked === null ? null : { id: asked, at: n.now() };
  const record = n.lease.record;
  const task = before ?? n.task;
  const facts = factsOf(n, pg, services, {
    task: task === null ? null : { what: task.what, from: task.from, runs: n.now() - task.began },
    mayWipe: mayWipe(n),
    mayFollow: record !== null && mayFollow(n, record, n.lease.index),
  });
  n.fork = facts.branch?.kind === 'diverged' ? facts.branch.fork : null;
  return facts;
}
