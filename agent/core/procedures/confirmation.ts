/** Who confirms a promotion before it opens (PROTOCOL D.4, D.6), and what is left where nobody can. */
import { renewWith } from '../lease.ts';
import type { NodeContext } from '../node.ts';
import { call, type Procedure } from '../ports.ts';
import type { Fork } from '../postgres.ts';
import { forksText, type SyncRecord, standbyName } from '../records.ts';
import { confirming, covered, listOf } from './cover.ts';
import type { Opening } from './opening.ts';

/** Those among whom the promotion is confirmed; null when too few have it in time. */
export function* confirmedVoters(
  n: NodeContext,
  opening: Opening,
): Procedure<Omit<Opening, 'compared'> | null> {
  const { voters, k } = opening;
  const list = listOf(voters, k);
  if (list === null) return opening;
  const have = yield* confirming(n, list, n.policy.openWait);
  if (have === null) return null;
  if (opening.compared) return opening;
  // The others were never compared: a list with them would count what they report of a branch of their own.
  const seen = voters.filter((v) => have.includes(standbyName(v)));
  if (seen.length === voters.length) return opening;
  const narrowed = yield* call('pg', 'setSyncList', listOf(seen, k), 3000);
  if (narrowed.kind !== 'done' || !(yield* covered(n, listOf(seen, k), n.policy.openWait))) return null;
  return { voters: seen, k };
}

/**
 * Strict, and nobody can confirm: each other copy left this branch, and may be rewound only once `sync` names
 * this node.
 */
export function everyOtherWaitsForRewind(n: NodeContext): boolean {
  const others = Object.keys(n.view?.nodes ?? {}).filter((name) => name !== n.name);
  return others.length > 0 && others.every((name) => n.view?.states[name]?.wants === 'rewind');
}

/** Strict, and nobody has confirmed in time: why it stays shut. */
export function* staysShut(n: NodeContext, timeline: number, history: Fork[]): Procedure<string> {
  if (everyOtherWaitsForRewind(n)) return yield* announceShut(n, timeline, history);
  return 'no standby confirms, and the mode is strict';
}

/**
 * `sync` names this leader without a voter while it stays shut: no commit is accepted before one is listed
 * (PROTOCOL D.11). What was acknowledged before is here, as the votes said; that no second copy of it counts
 * any more is the price.
 */
function* announceShut(n: NodeContext, timeline: number, history: Fork[]): Procedure<string> {
  const right = n.lease.right;
  if (right === null) return 'no lease';
  const value: SyncRecord = {
    schema: 1,
    leader: n.name,
    epoch: right.epoch,
    timeline,
    history: forksText(history),
    voters: [],
    k: 0,
  };
  const index = n.view?.sync?.index ?? 0;
  const written = yield* renewWith(n, [{ verb: 'cas', key: 'sync', value, index }]);
  if (written !== 'ok') return `the sync record was not written: ${written}`;
  return 'strict: shut until a rewound standby confirms';
}
