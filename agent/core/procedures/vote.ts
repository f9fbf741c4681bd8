/**
 * A vote is a cut (PROTOCOL D.1): the voter stops streaming from the old active, durably, before it says how
 * far it is. Otherwise a thawed active would go on getting its commits confirmed.
 */
import { type Towards, towardsHolder } from '../branch.ts';
import { refresh } from '../lease.ts';
import { seenTimes } from '../lease_times.ts';
import { stillFor } from '../lease_view.ts';
import { type Ballot, castBallot } from '../memory/candidacy.ts';
import { isNotDiverged, promiseVote } from '../memory/copy.ts';
import { followNow } from '../memory/database.ts';
import { hookLater } from '../memory/hooks.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure, type Vote, type VoteReply, type VoteRequest } from '../ports.ts';
import type { Upstream } from '../postgres.ts';
import type { LeaseRecord } from '../records.ts';
import { faultsOf } from '../unreadable.ts';

const CUT_DEADLINE = 2000;
const SETTLE_DEADLINE = 1500;
const SETTLE_STEP = 20;

/** May a node with this vote read from `holder` under the lease record at `index`? (PROTOCOL D.1) */
export function mayFollow(n: NodeContext, record: LeaseRecord, index: number): boolean {
  const vote = n.copy.durable.vote;
  if (vote === null) return true;
  if (record.epoch > vote.epoch) return true;
  return record.epoch === vote.epoch && record.holder === vote.holder && index > vote.index;
}

/** Answer a challenger (or, for the own ballot, oneself). */
export function* answerVote(n: NodeContext, request: VoteRequest): Procedure<VoteReply> {
  if (n.lease.index < request.index) yield* refresh(n);
  const refused = refusal(n, request);
  if (refused !== null) return { kind: 'refused', why: refused };
  yield* call('time', 'lock', 'upstream');
  try {
    const again = refusal(n, request);
    const record = n.lease.record;
    if (again !== null || record === null) return { kind: 'refused', why: again ?? 'no lease' };
    promiseVote(n.copy, { index: request.index, epoch: record.epoch, holder: record.holder });
    yield* call('store', 'save', n.copy.durable);
    const cut = yield* call('pg', 'setUpstream', null, CUT_DEADLINE);
    if (cut.kind !== 'done') return { kind: 'refused', why: `cannot cut off replication: ${cut.why}` };
    const vote = yield* ownVote(n);
    return vote === null ? { kind: 'refused', why: 'the position is not known yet' } : { kind: 'vote', vote };
  } finally {
    n.unlock('upstream');
  }
}

function refusal(n: NodeContext, request: VoteRequest): string | null {
  const record = n.lease.record;
  const faults = faultsOf(n.view);
  if (faults.length > 0) return `cannot read ${faults.join(', ')}`;
  if (record === null || n.lease.index !== request.index) return `the lease is at index ${n.lease.index}`;
  if (n.copy.durable.rebuilding !== null) return `${n.copy.durable.rebuilding} under way`;
  if (n.fence.running > 0) return 'fencing down';
  if (n.view?.nodes[request.candidate] === undefined) return `${request.candidate} is not a member`;
  const given = n.copy.durable.vote;
  // What was read is older than what was voted on: a lower vote in its place would undo that cut.
  if (
    given !== null &&
    (given.epoch > record.epoch || (given.epoch === record.epoch && given.index > request.index))
  )
    return `it voted on a newer lease already, at index ${given.index}`;
  // A released lease was written after a confirmed stop; an offered or held one must have stood still on our
  // own clock.
  const { renewDeadline } = seenTimes(n, record);
  if (record.holder !== '' && stillFor(n.lease, n.now()) < renewDeadline) {
    return `this node has not yet seen the lease go ${renewDeadline} ms without a renewal`;
  }
  return null;
}

/** Where this cut standby stands; null until startup has replayed all that is on disk (PROTOCOL D.2). */
function* ownVote(n: NodeContext): Procedure<Vote | null> {
  const until = n.now() + SETTLE_DEADLINE;
  for (;;) {
    const facts = yield* call('pg', 'facts', 500);
    if (facts.process === 'running' && facts.role === 'primary') return null;
    const at = facts.position;
    if (facts.role === 'standby' && at !== null && at.settled && facts.upstreamHost === null) {
      const history = yield* call('pg', 'history', at.timeline);
      if (history === null) return null;
      return { node: n.name, clone: n.copy.durable.clone, timeline: at.timeline, lsn: at.lsn, history };
    }
    if (n.now() >= until) return null;
    yield* call('time', 'sleep', SETTLE_STEP);
  }
}

/** Ask everybody for their vote on the lease as it stands, oneself first. */
export function* gatherVotes(n: NodeContext): Procedure<void> {
  const index = n.lease.index;
  const syncIndex = n.view?.sync?.index ?? 0;
  const own = yield* answerVote(n, { index, candidate: n.name });
  if (own.kind !== 'vote') {
    n.log({
      component: 'handler-runner',
      level: 'info',
      message: `no vote from this node: ${own.kind === 'refused' ? own.why : 'unknown'}`,
    });
    castBallot(n.candidacy, null);
    return;
  }
  const ballot: Ballot = { index, syncIndex, own: own.vote, votes: {}, refused: {}, at: n.now() };
  const peers = Object.keys(n.view?.nodes ?? {}).filter((name) => name !== n.name);
  const replies = yield* call('peers', 'votes', peers, { index, candidate: n.name }, n.policy.voteTimeout);
  for (const [node, reply] of Object.entries(replies)) {
    // Two records with one address would have the same copy counted twice.
    if (reply.kind === 'vote' && reply.vote.node !== node)
      ballot.refused[node] = `${reply.vote.node} answers at its address`;
    else if (reply.kind === 'vote') ballot.votes[node] = reply.vote;
    else ballot.refused[node] = reply.kind === 'refused' ? reply.why : 'no answer';
  }
  castBallot(n.candidacy, ballot);
}

/**
 * Read from the holder of the lease, as far as the own vote allows, and only once the own branch is known to
 * be a prefix of the holder's (PROTOCOL D.6): PostgreSQL serves one that is ahead up to the fork, and counts
 * the end of its foreign tail as confirmed. `copiedFrom`: the stopped server's data was just copied from
 * there, and has nothing of its own.
 */
export function* follow(n: NodeContext, copiedFrom: string | null = null): Procedure<boolean> {
  yield* call('time', 'lock', 'upstream');
  try {
    const record = n.lease.record;
    if (record === null || record.holder === '' || record.holder === n.name) return false;
    if (!mayFollow(n, record, n.lease.index)) return false;
    const upstream = upstreamOf(n, record.holder);
    if (upstream === null) return false;
    const copied = copiedFrom === record.holder;
    const towards = copied ? 'prefix' : yield* towardsUpstream(n, record, upstream);
    const epoch = n.lease.record?.epoch;
    if (towards !== 'prefix' || epoch !== record.epoch || !mayFollow(n, record, n.lease.index)) {
      yield* call('pg', 'setUpstream', null, CUT_DEADLINE);
      return false;
    }
    const done = yield* call('pg', 'setUpstream', upstream, CUT_DEADLINE);
    if (done.kind !== 'done') return false;
    isNotDiverged(n.copy);
    if (followNow(n.db, record.holder, record.epoch))
      hookLater(n.hooks, 'follow', { active: record.holder, epoch: `${record.epoch}` });
    return true;
  } finally {
    n.unlock('upstream');
  }
}

/** Where the own data stands towards the holder's, read while nobody else's can come in. */
function* towardsUpstream(n: NodeContext, record: LeaseRecord, upstream: Upstream): Procedure<Towards> {
  let facts = yield* call('pg', 'facts', 500);
  const from = record.from === null ? undefined : n.view?.nodes[record.from]?.hostIp;
  const quiet = [null, upstream.host, ...(record.clean === null ? [] : [from])];
  if (!quiet.includes(facts.upstreamHost)) {
    const cut = yield* call('pg', 'setUpstream', null, CUT_DEADLINE);
    if (cut.kind !== 'done') return 'unknown';
    facts = yield* call('pg', 'facts', 500);
  }
  // A fresh copy may need the holder's WAL before it answers at all. No commit counts on one that is not
  // listed.
  if (facts.process === 'running' && facts.role === 'unknown' && facts.standbySignal)
    return isCountedOn(n) ? 'unknown' : 'prefix';
  const at = facts.position;
  if (facts.role !== 'standby' || at === null) return 'unknown';
  const history = yield* call('pg', 'history', at.timeline);
  if (history === null) return 'unknown';
  const view = n.view;
  return towardsHolder(at, history, record, view?.sync?.value ?? null, view?.history ?? []);
}

/**
 * Does `sync` name this node, or its present copy, so that a vote may count on it? Yes, when that was never
 * read.
 */
export function isCountedOn(n: NodeContext): boolean {
  const sync = n.view?.sync?.value;
  if (sync === undefined || sync.leader === n.name) return true;
  return sync.voters.some((v) => v.node === n.name && v.clone === n.copy.durable.clone);
}

/** Read from nobody: the own data is not the holder's, or not known to be. */
export function* cut(n: NodeContext): Procedure<boolean> {
  yield* call('time', 'lock', 'upstream');
  try {
    return (yield* call('pg', 'setUpstream', null, CUT_DEADLINE)).kind === 'done';
  } finally {
    n.unlock('upstream');
  }
}

export function upstreamOf(n: NodeContext, node: string): Upstream | null {
  const record = n.view?.nodes[node];
  if (record === undefined || record.hostIp === '') return null;
  return { node, host: record.hostIp, port: record.postgresPort };
}
