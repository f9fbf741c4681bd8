import { describe, expect, test } from 'bun:test';
import { compareBranches, mayPromote, rankOf } from '../../agent/core/election.ts';
import type { Ballot } from '../../agent/core/memory/candidacy.ts';
import type { Vote } from '../../agent/core/ports.ts';
import { votesNeeded } from '../../agent/core/records.ts';
import { nodeRecord, syncRecord, vote, voter } from './build.ts';

function ballot(own: Vote, ...others: Vote[]): Ballot {
  return {
    index: 100,
    syncIndex: 90,
    own,
    votes: Object.fromEntries(others.map((v) => [v.node, v])),
    refused: {},
    at: 0,
  };
}
const five = syncRecord({ voters: ['b', 'c', 'd', 'e'].map((n) => voter(n)), k: 2 });
const verdict = (
  b: Ballot,
  sync: Parameters<typeof mayPromote>[1],
  mode: 'quorum' | 'strict' | 'off' = 'quorum',
  lag = 100,
) => mayPromote(b, sync, mode, lag);

describe('need', () => {
  test('voters less k, and one: at least one of any k that confirmed is among them', () => {
    expect(votesNeeded(syncRecord())).toBe(2);
    expect(votesNeeded(five)).toBe(3);
    expect(votesNeeded(syncRecord({ voters: [voter('b')], k: 1 }))).toBe(1);
  });
  test('all listed voters of three nodes with k = 1 voted: may', () => {
    expect(verdict(ballot(vote('b'), vote('c')), syncRecord()).kind).toBe('may');
  });
  test('one vote short: must not, and it says who does not answer, the last leader included', () => {
    expect(verdict(ballot(vote('b')), syncRecord())).toEqual({
      kind: 'must-not',
      reason: '1 of 2 needed votes: no answer from c, a',
      missing: ['c', 'a'],
    });
  });
  test('three of four voters with k = 2: may; two: must not', () => {
    expect(verdict(ballot(vote('b'), vote('c'), vote('d')), five).kind).toBe('may');
    expect(verdict(ballot(vote('b'), vote('c')), five).kind).toBe('must-not');
  });
  test('the only voter needs nobody else', () => {
    expect(verdict(ballot(vote('b')), syncRecord({ voters: [voter('b')] })).kind).toBe('may');
  });
});

describe('voters behind the timeline that `sync` names', () => {
  const newer = syncRecord({
    timeline: 4,
    history: [
      { tli: 1, lsn: '500' },
      { tli: 3, lsn: '1000' },
    ],
    voters: [voter('b'), voter('c')],
  });
  const on4 = (node: string) =>
    vote(node, {
      timeline: 4,
      lsn: 2000n,
      history: [
        { tli: 1, lsn: 500n },
        { tli: 3, lsn: 1000n },
      ],
    });
  test('one that is a prefix of it certainly confirmed nothing since, and counts', () => {
    expect(verdict(ballot(on4('b'), vote('c', { lsn: 1000n })), newer).kind).toBe('may');
  });
  test('one with a tail of its own may have seemed to: it does not count', () => {
    expect(verdict(ballot(on4('b'), vote('c', { lsn: 1001n })), newer).kind).toBe('must-not');
  });
  test('none of them may be promoted, though it be the only one listed', () => {
    const alone = { ...newer, voters: [voter('b')] };
    expect(verdict(ballot(vote('b', { lsn: 1000n })), alone).kind).toBe('must-not');
    expect(verdict(ballot(on4('b')), alone).kind).toBe('may');
  });
});

describe('which votes count', () => {
  test('not those of nodes that are not listed', () => {
    const sync = syncRecord({ voters: [voter('b'), voter('c')] });
    expect(verdict(ballot(vote('b'), vote('d'), vote('e')), sync).kind).toBe('must-not');
  });
  test('not those of another clone of a listed node: its data was wiped since', () => {
    expect(verdict(ballot(vote('b'), vote('c', { clone: 'c2' })), syncRecord()).kind).toBe('must-not');
  });
  test('a candidate that is not listed may win with the votes of those that are, when it is level with them', () => {
    const sync = syncRecord({ voters: [voter('c'), voter('d')] });
    expect(verdict(ballot(vote('b'), vote('c'), vote('d')), sync).kind).toBe('may');
  });
  test('the vote of the last leader is enough, whoever else is silent', () => {
    expect(verdict(ballot(vote('a')), syncRecord()).kind).toBe('may');
    expect(verdict(ballot(vote('b'), vote('a')), syncRecord()).kind).toBe('may');
  });
  test('not a last leader that is back on an older timeline than the one `sync` names', () => {
    expect(
      verdict(ballot(vote('b'), vote('a', { timeline: 2 })), syncRecord({ voters: [voter('c')] })).kind,
    ).toBe('must-not');
  });
  test('voters empty: nobody but the last leader', () => {
    const alone = syncRecord({ voters: [], k: 0 });
    expect(verdict(ballot(vote('b'), vote('c')), alone)).toMatchObject({ kind: 'must-not', missing: ['a'] });
    expect(verdict(ballot(vote('a')), alone).kind).toBe('may');
  });
  test('without a sync record nobody may', () => {
    expect(verdict(ballot(vote('b'), vote('c')), null).kind).toBe('must-not');
  });
});

describe('ahead', () => {
  test('a voter that is one byte further: must not', () => {
    expect(verdict(ballot(vote('b'), vote('c', { lsn: 1001n })), syncRecord())).toMatchObject({
      kind: 'must-not',
      reason: 'c is ahead',
    });
  });
  test('level is not ahead', () => {
    expect(verdict(ballot(vote('b'), vote('c')), syncRecord()).kind).toBe('may');
  });
  test('a cut-off node’s long tail on an older timeline is not ahead of a newer one', () => {
    const own = vote('b', { timeline: 4, lsn: 1010n, history: [{ tli: 3, lsn: 1000n }] });
    expect(verdict(ballot(own, vote('c', { lsn: 9_000_000n })), syncRecord()).kind).toBe('may');
  });
  test('and the node with that tail may not win over the newer timeline', () => {
    const newer = vote('c', { timeline: 4, lsn: 1010n, history: [{ tli: 3, lsn: 1000n }] });
    expect(verdict(ballot(vote('b', { lsn: 9_000_000n }), newer), syncRecord()).kind).toBe('must-not');
  });
  test('the same timeline number left at different places: the later fork is ahead, not the longer log', () => {
    const early = vote('b', { timeline: 4, lsn: 5000n, history: [{ tli: 3, lsn: 900n }] });
    const late = vote('c', { timeline: 4, lsn: 1100n, history: [{ tli: 3, lsn: 1000n }] });
    expect(compareBranches(early, late)).toBe(-1);
    expect(verdict(ballot(early, late), syncRecord()).kind).toBe('must-not');
  });
  test('a last leader that is back and ahead of the candidate: must not, it goes itself', () => {
    expect(verdict(ballot(vote('b'), vote('a', { lsn: 1200n })), syncRecord()).kind).toBe('must-not');
  });
});

describe('asynchronous mode', () => {
  test('a peer ahead by no more than the allowed lag is passed over', () => {
    const sync = syncRecord({ voters: [], k: 0 });
    expect(verdict(ballot(vote('b'), vote('c', { lsn: 1100n })), sync, 'off', 100).kind).toBe('may');
    expect(verdict(ballot(vote('b'), vote('c', { lsn: 1101n })), sync, 'off', 100).kind).toBe('must-not');
  });
  test('never one that is ahead by timeline', () => {
    const sync = syncRecord({ voters: [], k: 0 });
    expect(verdict(ballot(vote('b'), vote('c', { timeline: 4 })), sync, 'off', 1e9).kind).toBe('must-not');
  });
  test('the allowed lag is nothing in quorum and strict mode', () => {
    for (const mode of ['quorum', 'strict'] as const)
      expect(verdict(ballot(vote('b'), vote('c', { lsn: 1001n })), syncRecord(), mode, 1e9).kind).toBe(
        'must-not',
      );
  });
});

describe('rank: how many go first', () => {
  const nodes = (over: Record<string, Parameters<typeof nodeRecord>[1]> = {}) =>
    Object.fromEntries(['a', 'b', 'c', 'd'].map((n) => [n, nodeRecord(n, over[n])]));
  const well = () => false;
  test('level in all: the name decides, and only one has rank 0', () => {
    const b = vote('b');
    const c = vote('c');
    expect(rankOf(ballot(b, c), nodes(), well)).toBe(0);
    expect(rankOf(ballot(c, b), nodes(), well)).toBe(1);
  });
  test('priority goes before the name', () => {
    expect(rankOf(ballot(vote('b'), vote('c')), nodes({ c: { priority: 200 } }), well)).toBe(1);
  });
  test('who lacks less of the files goes before priority, and after the position', () => {
    const lacks = (node: string) => (node === 'b' ? 10 : node === 'c' ? 0 : Number.POSITIVE_INFINITY);
    const preferred = nodes({ b: { priority: 200 } });
    expect(rankOf(ballot(vote('b'), vote('c')), preferred, well, lacks)).toBe(1);
    expect(rankOf(ballot(vote('c'), vote('b'), vote('d')), preferred, well, lacks)).toBe(0);
    expect(rankOf(ballot(vote('d'), vote('b')), preferred, well, lacks)).toBe(1);
    expect(rankOf(ballot(vote('b', { lsn: 1001n }), vote('c')), preferred, well, lacks)).toBe(0);
  });
  test('position goes before priority', () => {
    expect(rankOf(ballot(vote('b', { lsn: 1001n }), vote('c')), nodes({ c: { priority: 200 } }), well)).toBe(
      0,
    );
  });
  test('tags and failing checks go last, before priority', () => {
    const preferred = { b: { priority: 200, nofailover: true } };
    expect(rankOf(ballot(vote('b'), vote('c')), nodes(preferred), well)).toBe(1);
    expect(rankOf(ballot(vote('b'), vote('c')), nodes({ b: { maintenance: true } }), well)).toBe(1);
    expect(rankOf(ballot(vote('b'), vote('c')), nodes(), (n) => n === 'b')).toBe(1);
  });
  test('an order: the ranks of all candidates are different', () => {
    const all = [vote('a'), vote('b', { lsn: 1100n }), vote('c'), vote('d')];
    const ranks = all.map((own) =>
      rankOf(ballot(own, ...all.filter((v) => v !== own)), nodes({ d: { priority: 150 } }), well),
    );
    expect(ranks).toEqual([2, 0, 3, 1]);
  });
});
