/**
 * Keeps PostgreSQL's list of synchronous standbys and the `sync` key together, one step at a time, in the
 * orders of PROTOCOL D.5: whatever crash or lost reply comes between, every acknowledged write is on k of the
 * key's voters.
 */
import { confirm, refresh, renewWith } from '../lease.ts';
import { seeVoters } from '../memory/database.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import { confirmedBy, type SyncList, type WalSender } from '../postgres.ts';
import { type Kv, type SyncRecord, standbyName, type Voter } from '../records.ts';
import { covered, listOf, sameList } from './cover.ts';

const LIST_DEADLINE = 3000;
const COVER_DEADLINE = 3000;
/** A standby joins the voters once it is this close: before that its confirmation would hold commits up. */
const NEAR = 16n * 1024n * 1024n;

export type SyncStep =
  | { do: 'nothing' }
  | { do: 'empty'; why: string }
  | { do: 'add'; voter: Voter }
  | { do: 'remove'; voter: Voter; why: string }
  | { do: 'set_k'; k: number }
  | { do: 'restore' };

export type SyncFacts = {
  sync: SyncRecord;
  list: SyncList;
  members: string[];
  /** Per member: its present clone, and whether it must be wiped before it can follow. */
  clones: Record<string, { clone: string; wiped: boolean }>;
  senders: WalSender[];
  insert: bigint;
  /** How long no voter has been streaming; 0 while one does. */
  lonelyFor: number;
  mode: 'quorum' | 'strict' | 'off';
  degradeAfter: number;
  quorum: number;
};

/** The next step towards the wanted voters. Pure. */
export function nextSyncStep(f: SyncFacts): SyncStep {
  const { sync } = f;
  const near = (v: Voter) =>
    f.senders.some((s) => {
      const flush = s.name === standbyName(v) ? confirmedBy(s) : null;
      return flush !== null && f.insert - flush <= NEAR;
    });
  const listed = (v: Voter) => sync.voters.some((w) => w.node === v.node && w.clone === v.clone);
  if (f.mode === 'off')
    return sync.voters.length > 0 ? { do: 'empty', why: 'synchronous_mode is off' } : restored(f);
  if (f.mode === 'quorum' && sync.voters.length > 0 && f.lonelyFor > f.degradeAfter) {
    return { do: 'empty', why: `no voter has been streaming for ${Math.round(f.lonelyFor / 1000)} s` };
  }
  // A re-cloned node is added under its new clone before the old one is removed (PROTOCOL D.9).
  for (const node of f.members) {
    const clone = f.clones[node];
    if (clone === undefined || clone.wiped || node === sync.leader) continue;
    const voter = { node, clone: clone.clone };
    if (!listed(voter) && near(voter)) return { do: 'add', voter };
  }
  const k = Math.min(f.quorum, sync.voters.length);
  // Lowered before anybody is taken off: those that stay may be too few to confirm as before (PROTOCOL D.9).
  if (k > 0 && k < sync.k) return { do: 'set_k', k };
  for (const voter of sync.voters) {
    const clone = f.clones[voter.node];
    if (!f.members.includes(voter.node)) return remove(f, voter, 'it is no longer a member');
    if (clone?.wiped && clone.clone === voter.clone) return remove(f, voter, 'its data must be wiped');
    const again = clone !== undefined && clone.clone !== voter.clone;
    if (again) return remove(f, voter, 'it was cloned again');
  }
  if (k !== sync.k) return { do: 'set_k', k };
  return restored(f);
}

function remove(f: SyncFacts, voter: Voter, why: string): SyncStep {
  const { voters, k } = f.sync;
  if (voters.length === 1)
    return f.mode === 'strict'
      ? { do: 'nothing' }
      : { do: 'empty', why: `${voter.node}, the only voter: ${why}` };
  const stay = voters.filter((v) => v !== voter);
  // Commits would wait for them, and so would this step.
  if (k <= stay.length && stay.filter((v) => streams(f.senders, v)).length < k) return restored(f);
  return { do: 'remove', voter, why };
}

const streams = (senders: WalSender[], voter: Voter): boolean =>
  senders.some((s) => s.name === standbyName(voter) && confirmedBy(s) !== null);

function restored(f: SyncFacts): SyncStep {
  return sameList(f.list, listOf(f.sync.voters, f.sync.k)) ? { do: 'nothing' } : { do: 'restore' };
}

/** One step, if one is due. Returns what was done, for the log. */
export function* syncStep(n: NodeContext): Procedure<string | null> {
  const held = n.view?.sync ?? null;
  if (held === null || held.value.leader !== n.name || held.value.epoch !== n.lease.right?.epoch) return null;
  const seen = yield* call('pg', 'replication', 1000);
  const list = n.db.facts?.syncList;
  if (seen === null || list === undefined) return null;
  const step = nextSyncStep(factsOf(n, held.value, list, seen));
  if (step.do === 'nothing') return null;
  if (n.holding.unsettled) {
    // An unknown outcome loosens nothing: settle it by a renewal first, then look again (PROTOCOL D.5, D.9).
    yield* confirm(n, 0);
    yield* refresh(n);
    return 'an unconfirmed write of the voter list was settled';
  }
  // PostgreSQL's list may only follow the key as it is: an older one may have been read after our own last
  // write of it.
  const present = yield* renewWith(n, [{ verb: 'check-index', key: 'sync', index: held.index }]);
  if (present !== 'ok') {
    yield* refresh(n);
    return `${describe(step)}: put off, the voters were not confirmed: ${present}`;
  }
  const done = yield* carryOut(n, held, step);
  yield* refresh(n);
  return done ? describe(step) : `${describe(step)}: not finished, will be tried again`;
}

function factsOf(
  n: NodeContext,
  sync: SyncRecord,
  list: SyncList,
  seen: { insert: bigint; senders: WalSender[] },
): SyncFacts {
  const isServed = sync.voters.some((v) => streams(seen.senders, v)) || sync.voters.length === 0;
  seeVoters(n.db, isServed, n.now());
  // Out of the list while it still is a node: its key goes only when no commit counts on it (PROTOCOL F.5).
  const members = Object.entries(n.view?.nodes ?? {}).flatMap(([name, node]) => (node.leaving ? [] : [name]));
  const clones: SyncFacts['clones'] = {};
  for (const node of members) {
    const state = n.view?.states[node];
    if (state !== undefined) clones[node] = { clone: state.clone, wiped: state.wants !== 'nothing' };
  }
  return {
    sync,
    list,
    members,
    clones,
    senders: seen.senders,
    insert: seen.insert,
    lonelyFor: n.db.lonelySince === null ? 0 : n.now() - n.db.lonelySince,
    mode: n.policy.synchronousMode,
    degradeAfter: n.policy.openWait,
    quorum: Math.floor(members.length / 2),
  };
}

function* carryOut(n: NodeContext, held: Kv<SyncRecord>, step: SyncStep): Procedure<boolean> {
  const { voters, k } = held.value;
  const key = (next: Voter[], nextK: number) => writeKey(n, held, next, nextK);
  const list = (next: Voter[], nextK: number) => setList(n, listOf(next, nextK));
  switch (step.do) {
    case 'empty':
      return (yield* key([], 0)) && (yield* list([], 0));
    case 'restore':
      return yield* list(voters, k);
    case 'add': {
      const next = [...voters, step.voter];
      if (voters.length > 0) return (yield* key(next, k)) && (yield* list(next, k));
      return (yield* list(next, 1)) && (yield* cover(n, next, 1)) && (yield* key(next, 1));
    }
    case 'remove': {
      const next = voters.filter((v) => v.node !== step.voter.node || v.clone !== step.voter.clone);
      // k is lowered first, in a step of its own: it may not exceed the voters that stay.
      if (k > next.length) return (yield* key(voters, next.length)) && (yield* list(voters, next.length));
      return (yield* list(next, k)) && (yield* cover(n, next, k)) && (yield* key(next, k));
    }
    case 'set_k':
      if (step.k < k) return (yield* key(voters, step.k)) && (yield* list(voters, step.k));
      return (
        (yield* list(voters, step.k)) && (yield* cover(n, voters, step.k)) && (yield* key(voters, step.k))
      );
    case 'nothing':
      return true;
  }
}

function* writeKey(n: NodeContext, held: Kv<SyncRecord>, voters: Voter[], k: number): Procedure<boolean> {
  const value: SyncRecord = { ...held.value, voters, k };
  const outcome = yield* renewWith(n, [{ verb: 'cas', key: 'sync', value, index: held.index }]);
  return outcome === 'ok';
}

function* setList(_n: NodeContext, list: SyncList): Procedure<boolean> {
  return (yield* call('pg', 'setSyncList', list, LIST_DEADLINE)).kind === 'done';
}

function* cover(n: NodeContext, voters: Voter[], k: number): Procedure<boolean> {
  return yield* covered(n, listOf(voters, k), COVER_DEADLINE);
}

function describe(step: SyncStep): string {
  switch (step.do) {
    case 'empty':
      return `DEGRADED to asynchronous: ${step.why}`;
    case 'add':
      return `${step.voter.node} confirms commits now`;
    case 'remove':
      return `${step.voter.node} is no longer a voter: ${step.why}`;
    case 'set_k':
      return `${step.k} standbys must confirm a commit`;
    case 'restore':
      return 'the list of synchronous standbys was corrected';
    case 'nothing':
      return '';
  }
}
