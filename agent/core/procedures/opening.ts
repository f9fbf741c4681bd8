/** Among whom the first commits of a promotion must be confirmed, before `sync` names the new leader. */
import { isPrefix } from '../branch.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure, type Vote } from '../ports.ts';
import { confirmedBy, type SyncList } from '../postgres.ts';
import { standbyName, type Voter } from '../records.ts';
import { listOf, sameList } from './cover.ts';

const CARRY = 2000;

/**
 * The voters that a handover from the present leader would open with: every standby carries that list
 * (PROTOCOL D.4). It may be out of date at any time: nobody commits on a standby, and a promotion sets its
 * own list and sees it in effect before it opens. The leader's own list is never touched here: what `sync`
 * says of it must stay true.
 */
export function carriedList(n: NodeContext): SyncList | undefined {
  const sync = n.view?.sync?.value ?? null;
  const clone = sync === null ? undefined : n.view?.states[sync.leader]?.clone;
  if (sync === null || clone === undefined || n.policy.synchronousMode === 'off') return undefined;
  if (sync.leader === n.name || n.lease.right !== null) return undefined;
  const { voters, k } = handoverVoters(n, sync.leader, clone);
  return listOf(voters, k);
}

/**
 * Written while the server is stopped, it is in effect from its start on: a promotion soon after has nothing
 * to wait for.
 */
export function* carryList(n: NodeContext): Procedure<void> {
  const list = carriedList(n);
  if (list === undefined || sameList(list, n.db.facts?.syncList ?? null)) return;
  yield* call('pg', 'setSyncList', list, CARRY);
}

function handoverVoters(
  n: NodeContext,
  from: string,
  clone: string | undefined,
): Pick<Opening, 'voters' | 'k'> {
  const voters = [...(n.view?.sync?.value.voters ?? [])];
  if (clone !== undefined && !voters.some((v) => v.node === from)) voters.push({ node: from, clone });
  const others = voters.filter((v) => v.node !== n.name && n.view?.nodes[v.node] !== undefined);
  return { voters: others, k: Math.min(quorumSize(n), others.length) };
}

/**
 * `compared`: the branch of each of them is known to be a prefix of this one's. Where not, only those that
 * were seen to confirm may be listed in the end.
 */
export type Opening = { voters: Voter[]; k: number; compared: boolean };

export const NOBODY: Opening = { voters: [], k: 0, compared: true };

/**
 * Among whom the first commits of this promotion must be confirmed: those who voted, or were voters before.
 */
export function openingVoters(n: NodeContext): Opening {
  if (n.policy.synchronousMode === 'off') return NOBODY;
  const sync = n.view?.sync?.value ?? null;
  const mandate = n.candidacy.mandate;
  if (mandate?.kind === 'handover') {
    // Only the voters of who hands over follow its branch: one that never opened leaves those of its
    // predecessor there.
    const compared = sync?.leader === mandate.from && sync.epoch === mandate.epoch - 1;
    return { ...handoverVoters(n, mandate.from, n.view?.states[mandate.from]?.clone), compared };
  }
  let voters: Voter[] = [];
  if (mandate?.kind === 'votes') voters = ownPrefixes(n, mandate.votes);
  voters = voters.filter((v) => v.node !== n.name && n.view?.nodes[v.node] !== undefined);
  const compared = voters.length > 0;
  if (voters.length === 0) voters = (sync?.voters ?? []).filter((v) => v.node !== n.name);
  // Nobody listed is left: whoever else has a copy is waited for, before it is opened without confirmation.
  if (voters.length === 0) voters = otherCopies(n);
  voters = [...voters, ...streaming(n, voters)];
  const k = Math.min(quorumSize(n), voters.length);
  return k === 0 ? NOBODY : { voters, k, compared };
}

/**
 * Those voters whose copy is a prefix of the own one, as they stood when they voted: the others cannot
 * follow.
 */
function ownPrefixes(n: NodeContext, votes: readonly Vote[]): Voter[] {
  const own = votes.find((v) => v.node === n.name);
  if (own === undefined) return [];
  return votes.filter((v) => isPrefix(v, own)).map(({ node, clone }) => ({ node, clone }));
}

/** k = floor(members / 2): how many standbys must confirm a commit (PROTOCOL D). */
export function quorumSize(n: NodeContext): number {
  return Math.floor(Object.keys(n.view?.nodes ?? {}).length / 2);
}

/**
 * Copies that follow this promotion already, asked for again because nobody listed confirmed it: neither did
 * they vote nor were they voters, and what they confirm is on them all the same. In strict mode it would
 * never open otherwise.
 */
const streaming = (n: NodeContext, voters: readonly Voter[]): Voter[] =>
  otherCopies(n).filter(
    (copy) =>
      !voters.some(({ node }) => node === copy.node) &&
      n.db.facts?.walSenders.some((s) => s.name === standbyName(copy) && confirmedBy(s) !== null),
  );

function otherCopies(n: NodeContext): Voter[] {
  return Object.keys(n.view?.nodes ?? {}).flatMap((node) => {
    const state = n.view?.states[node];
    return node === n.name || state === undefined || state.wants !== 'nothing'
      ? []
      : [{ node, clone: state.clone }];
  });
}
