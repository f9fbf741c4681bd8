import { expect, test } from 'bun:test';
import { openingVoters } from '../../agent/core/procedures/opening.ts';
import { node, nodeRecord, pgFacts, stateRecord, syncRecord, vote, voter } from './build.ts';
import { Stage } from './stage.ts';

/** `b` won by its own vote as the last leader; `c` was no voter. */
function winner(senders: { name: string; state: string }[], wants: 'nothing' | 'reclone' = 'nothing') {
  const stage = new Stage();
  const walSenders = senders.map((sender) => ({ ...sender, sent: 1n, flush: 1n, replay: 1n }));
  const n = node('b', stage, {
    candidacy: { mandate: { kind: 'votes', epoch: 6, votes: [vote('b')] } },
    db: { facts: pgFacts({ walSenders }) },
  });
  stage.sees(n);
  if (n.view === null) throw new Error('no view');
  n.view.nodes = { a: nodeRecord('a'), b: nodeRecord('b'), c: nodeRecord('c') };
  n.view.states = { a: stateRecord('a'), c: stateRecord('c', { wants }) };
  n.view.sync = { value: syncRecord({ leader: 'b', voters: [voter('a')] }), index: 1 };
  return n;
}

test('a promotion asks those who were voters', () => {
  expect(openingVoters(winner([]))).toEqual({ voters: [voter('a')], k: 1, compared: false });
});

test('a copy that follows it already may confirm as well, though it neither voted nor was a voter', () => {
  const both = { voters: [voter('a'), voter('c')], k: 1, compared: false };
  expect(openingVoters(winner([{ name: 'c_c1', state: 'streaming' }]))).toEqual(both);
});

test('not under another clone, while it only catches up, or when it is to be copied again', () => {
  for (const n of [
    winner([{ name: 'c_c0', state: 'streaming' }]),
    winner([{ name: 'c_c1', state: 'catchup' }]),
    winner([{ name: 'c_c1', state: 'streaming' }], 'reclone'),
  ])
    expect(openingVoters(n).voters).toEqual([voter('a')]);
});

test('a voter with a tail of its own is not listed: it cannot follow, and would confirm what it does not have', () => {
  const n = winner([]);
  const ahead = vote('c', { timeline: 1, history: [], lsn: 501n });
  const level = vote('a', { lsn: 1000n });
  n.candidacy.mandate = { kind: 'votes', epoch: 6, votes: [vote('b'), level, ahead] };
  expect(openingVoters(n)).toEqual({ voters: [voter('a')], k: 1, compared: true });
});

test('handed over by an active that never opened: the voters of its predecessor were compared with nobody', () => {
  const n = winner([]);
  n.candidacy.mandate = { kind: 'handover', epoch: 6, timeline: 3, lsn: 1n, from: 'a' };
  if (n.view === null) throw new Error('no view');
  const voters = [voter('b'), voter('c')];
  const opened = (leader: string, epoch: number) => {
    const sync = syncRecord({ leader, epoch, voters });
    return openingVoters({ ...n, view: n.view && { ...n.view, sync: { value: sync, index: 1 } } });
  };
  expect(opened('a', 5)).toEqual({ voters: [voter('c'), voter('a')], k: 1, compared: true });
  expect(opened('d', 4).compared).toBe(false);
  expect(opened('a', 3).compared).toBe(false);
});
