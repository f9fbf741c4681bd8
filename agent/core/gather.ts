/**
 * What one tick of main looks at: the server, the services, the files, and what was learned since the last.
 */
import { type Facts, factsOf } from './facts.ts';
import { keepWant } from './memory/copy.ts';
import { seeDatabase, seeFork, seeHistory, seeStandbys } from './memory/database.ts';
import { isWellForLong } from './memory/failures.ts';
import { seeClosed, seeFence } from './memory/fence.ts';
import { seeFiles } from './memory/files.ts';
import { isServing, whenServicesRun } from './memory/hooks.ts';
import { seeRequest } from './memory/main.ts';
import { seeAllRun } from './memory/services.ts';
import type { NodeContext } from './node.ts';
import { call, type Procedure } from './ports.ts';
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
  const wants = n.copy.wants === 'reclone' ? n.copy.wants : undefined;
  if (n.copy.durable.wants === wants) return;
  keepWant(n.copy, wants);
  yield* call('store', 'save', n.copy.durable);
}

/** An active that has been well for so many cooldowns has not failed one soon after the other. */
const WELL_FOR = 10;

export function* gather(n: NodeContext): Procedure<Facts> {
  // A task that ends meanwhile has changed what is read here: this look is still one of a node that copies.
  const before = n.copy.task;
  const pg = yield* call('pg', 'facts', 500);
  const services = yield* call('services', 'facts');
  seeFiles(n.files, yield* call('files', 'facts'));
  const timeline = pg.position?.timeline ?? 0;
  if (timeline !== (n.db.facts?.position?.timeline ?? 0) || n.db.history === null) {
    seeHistory(n.db, timeline === 0 ? null : yield* call('pg', 'history', timeline));
  }
  seeDatabase(n.db, pg, n.now());
  seeFence(n.fence, pg);
  const open = pg.role === 'primary' && pg.accepting && n.fence.state === 'open';
  seeClosed(n.fence, open, n.lease.right !== null, n.now());
  if (open && n.lease.right !== null) isServing(n.hooks);
  const openFor = n.now() - n.fence.openedAt;
  whenServicesRun(n.hooks, services.missing.length, openFor);
  if (open && n.checks().failing.length === 0 && openFor > n.policy.failedCooldown * WELL_FOR)
    isWellForLong(n.failures);
  if (open) seeStandbys(n.db, pg);
  if (services.missing.length + services.missingAlways.length === 0) seeAllRun(n.services, n.now());
  seeRequest(n.main, n.view?.request?.value.id ?? null, n.now());
  const record = n.lease.record;
  const task = before ?? n.copy.task;
  const facts = factsOf(n, pg, services, {
    task: task === null ? null : { what: task.what, from: task.from, runs: n.now() - task.began },
    mayWipe: mayWipe(n),
    mayFollow: record !== null && mayFollow(n, record, n.lease.index),
  });
  seeFork(n.db, facts.branch?.kind === 'diverged' ? facts.branch.fork : null);
  return facts;
}
