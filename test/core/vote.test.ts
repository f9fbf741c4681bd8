import { describe, expect, test } from 'bun:test';
import type { Durable } from '../../agent/core/durable.ts';
import type { NodeContext } from '../../agent/core/node.ts';
import type { Call } from '../../agent/core/ports.ts';
import type { PgFacts, Position, Upstream } from '../../agent/core/postgres.ts';
import { answerVote, follow, gatherVotes, mayFollow } from '../../agent/core/procedures/vote.ts';
import type { LeaseRecord } from '../../agent/core/records.ts';
import {
  durable,
  hostOf,
  leaseRecord,
  type NodeOver,
  node,
  pgFacts,
  primary,
  stopped,
  syncRecord,
  vote,
} from './build.ts';
import { Stage } from './stage.ts';

/** `b`, a standby that has seen the lease of `a` stand still for renew_deadline. */
function voterNode(over: NodeOver = {}) {
  const stage = new Stage();
  const n = node('b', stage, over);
  stage.sees(n);
  stage.now += n.policy.renewDeadline;
  stage.on('pg.facts', () => pgFacts({ streaming: false, upstreamHost: null }));
  return { stage, n, request: { index: n.lease.index, candidate: 'c' } };
}

describe('a vote', () => {
  test('is recorded, then cuts, then answers: in this order', () => {
    const { stage, n, request } = voterNode();
    stage.on('store.save', (saved) => {
      expect(saved.vote).toEqual({ index: request.index, epoch: 5, holder: 'a' });
      return undefined;
    });
    expect(stage.run(answerVote(n, request))).toEqual({ kind: 'vote', vote: vote('b') });
    expect(stage.trace).toEqual([
      'time.lock',
      'store.save',
      'pg.setUpstream',
      'pg.facts',
      'pg.history',
      'unlock upstream',
    ]);
    expect(stage.args('pg.setUpstream')).toEqual([[null, 2000]]);
  });
  test('outlives a crash right after it was recorded', () => {
    const { stage, n, request } = voterNode();
    stage.crashAt(answerVote(n, request), 'pg.setUpstream');
    const saved = stage.args('store.save')[0]?.[0] as Durable;
    const again = node('b', stage, { copy: { durable: saved } });
    stage.sees(again);
    expect(mayFollow(again, leaseRecord(), request.index)).toBe(false);
  });
  test('is refused before renew_deadline has passed on the own clock', () => {
    const { stage, n, request } = voterNode();
    stage.now -= 1;
    expect(stage.run(answerVote(n, request)).kind).toBe('refused');
    expect(stage.trace).toEqual([]);
  });
  test('on a released lease needs no such wait: it was written after a confirmed stop', () => {
    const { stage, n } = voterNode();
    const index = stage.store.put('next_master', leaseRecord({ holder: '', instance: '' }));
    stage.sees(n);
    expect(stage.run(answerVote(n, { index, candidate: 'c' })).kind).toBe('vote');
  });
  test('on a lease that was handed over waits like any: it may have been accepted', () => {
    const { stage, n } = voterNode();
    const index = stage.store.put('next_master', leaseRecord({ holder: 'c', instance: '', epoch: 6 }));
    stage.sees(n);
    expect(stage.run(answerVote(n, { index, candidate: 'c' })).kind).toBe('refused');
  });
  test('for an index that the lease has left behind is refused', () => {
    const { stage, n, request } = voterNode();
    stage.store.put('next_master', leaseRecord({ seq: 41 }));
    stage.sees(n);
    expect(stage.run(answerVote(n, request))).toMatchObject({ kind: 'refused' });
  });
  test('for an index not seen yet is looked up first, and then counts as new here', () => {
    const { stage, n } = voterNode();
    const index = stage.store.put('next_master', leaseRecord({ seq: 41 }));
    expect(stage.run(answerVote(n, { index, candidate: 'c' }))).toMatchObject({ kind: 'refused' });
    expect(n.lease.index).toBe(index);
  });
  test('on an older lease than the last one voted on is refused: the lower vote would undo that cut', () => {
    for (const given of [
      { index: 9999, epoch: 5, holder: 'a' },
      { index: 1, epoch: 6, holder: 'c' },
    ]) {
      const { stage, n, request } = voterNode({ copy: { durable: durable('b', { vote: given }) } });
      expect(stage.run(answerVote(n, request)).kind).toBe('refused');
      expect(n.copy.durable.vote).toEqual(given);
    }
  });
  test('is refused when the lease was renewed while it waited for the lock', () => {
    const { stage, n, request } = voterNode();
    stage.once('time.lock', () => {
      stage.locks.add('upstream');
      stage.store.put('next_master', leaseRecord({ seq: 41 }));
      stage.sees(n);
      return undefined;
    });
    expect(stage.run(answerVote(n, request)).kind).toBe('refused');
    expect(stage.trace).not.toContain('store.save');
  });
  test.each<[string, NodeOver]>([
    ['a rewind is under way', { copy: { durable: durable('b', { rebuilding: 'rewind' }) } }],
    ['it is fencing down', { fence: { running: 1 } }],
  ])('is refused while %s', (_, over) => {
    const { stage, n, request } = voterNode(over);
    expect(stage.run(answerVote(n, request)).kind).toBe('refused');
    expect(stage.trace).toEqual([]);
  });
  test('is refused when the cut is not confirmed, and stays recorded', () => {
    const { stage, n, request } = voterNode();
    stage.on('pg.setUpstream', () => ({ kind: 'failed', why: 'walreceiver is still there' }));
    expect(stage.run(answerVote(n, request)).kind).toBe('refused');
    expect(n.copy.durable.vote?.index).toBe(request.index);
  });
  test('is never that of a primary', () => {
    const { stage, n, request } = voterNode();
    stage.on('pg.facts', () => primary());
    expect(stage.run(answerVote(n, request)).kind).toBe('refused');
  });
  test('waits until startup has replayed what is on disk, and gives that position', () => {
    const { stage, n, request } = voterNode();
    const at = (lsn: bigint, settled: boolean) => () =>
      pgFacts({
        streaming: false,
        upstreamHost: null,
        position: { timeline: 3, lsn, replayed: lsn, settled },
      });
    stage.once('pg.facts', at(700n, false)).once('pg.facts', at(900n, false)).on('pg.facts', at(1000n, true));
    expect(stage.run(answerVote(n, request))).toEqual({ kind: 'vote', vote: vote('b') });
  });
  test('is refused when that takes too long: an LSN read before is too low', () => {
    const { stage, n, request } = voterNode();
    stage.on('pg.facts', () =>
      pgFacts({ upstreamHost: null, position: { timeline: 3, lsn: 1n, replayed: 1n, settled: false } }),
    );
    expect(stage.run(answerVote(n, request)).kind).toBe('refused');
  });
  test('is refused by a server that is down, or still streams', () => {
    for (const facts of [stopped(), pgFacts()]) {
      const { stage, n, request } = voterNode();
      stage.on('pg.facts', () => facts);
      expect(stage.run(answerVote(n, request)).kind).toBe('refused');
    }
  });
});

describe('whom a voter may follow again', () => {
  const given = { index: 200, epoch: 5, holder: 'a' };
  const may = (record: Parameters<typeof leaseRecord>[0], index: number) => {
    const n = node('b', new Stage(), { copy: { durable: durable('b', { vote: given }) } });
    return mayFollow(n, leaseRecord(record), index);
  };
  test.each<[string, Parameters<typeof leaseRecord>[0], number, boolean]>([
    ['the old holder at the index that was voted on', {}, 200, false],
    ['the old holder at an older index', {}, 199, false],
    ['the same holder once it renewed past the index', { seq: 41 }, 201, true],
    ['a holder of a higher epoch', { holder: 'c', epoch: 6 }, 201, true],
    ['another holder of the same epoch', { holder: 'c' }, 201, false],
    ['a holder of a lower epoch', { holder: 'c', epoch: 4 }, 300, false],
  ])('%s', (_, record, index, expected) => expect(may(record, index)).toBe(expected));
  test('who never voted follows anyone', () => {
    expect(mayFollow(node('b', new Stage()), leaseRecord(), 1)).toBe(true);
  });
});

describe('following', () => {
  test('goes to the holder’s address, under the same lock as votes', () => {
    const stage = new Stage();
    const n = node('b', stage);
    stage.sees(n);
    expect(stage.run(follow(n))).toBe(true);
    expect(stage.args('pg.setUpstream')[0]?.[0]).toEqual({ node: 'a', host: '10.0.0.a', port: 5432 });
    expect(stage.trace).toEqual(['time.lock', 'pg.facts', 'pg.history', 'pg.setUpstream', 'unlock upstream']);
    expect(n.db.comparedEpoch).toBe(5);
  });
  test('goes to the holder in `next_master`, not to `active`, which is written last', () => {
    const stage = new Stage();
    stage.store.put('next_master', leaseRecord({ holder: 'c', instance: 'boot-c', epoch: 6 }));
    stage.store.put('active', { schema: 1, node: 'a', epoch: 5, hostIp: '10.0.0.a', timeline: 3, since: '' });
    const n = node('b', stage);
    stage.sees(n);
    stage.run(follow(n));
    expect(stage.args('pg.setUpstream').at(-1)?.[0]).toMatchObject({ node: 'c' });
  });
  test.each<[string, (s: Stage, n: NodeContext) => void]>([
    [
      'a lease that nobody holds',
      (s) => s.store.put('next_master', leaseRecord({ holder: '', instance: '' })),
    ],
    ['oneself', (s) => s.store.put('next_master', leaseRecord({ holder: 'b' }))],
    ['a holder that is not a member', (s) => s.store.put('next_master', leaseRecord({ holder: 'x' }))],
    [
      'the holder one voted against',
      (_, n) =>
        Object.assign(n.copy, { durable: durable('b', { vote: { index: 999, epoch: 5, holder: 'a' } }) }),
    ],
  ])('does not go to %s', (_, change) => {
    const stage = new Stage();
    const n = node('b', stage);
    change(stage, n);
    stage.sees(n);
    expect(stage.run(follow(n))).toBe(false);
    expect(stage.args('pg.setUpstream')).toEqual([]);
  });
});

describe('following only what the own data is a prefix of', () => {
  const position = (lsn: bigint, over: Partial<Position> = {}) => ({
    timeline: 3,
    lsn,
    replayed: lsn,
    settled: true,
    ...over,
  });
  /** `c` took the lease from `a` where it stood at 1000. */
  function overtaken(over: Partial<LeaseRecord> = {}, pg: Partial<PgFacts> = {}) {
    const stage = new Stage();
    const record = leaseRecord({ holder: 'c', instance: 'boot-c', epoch: 6, from: 'a', ...over });
    stage.store.put('next_master', record);
    const n = node('b', stage);
    stage.sees(n);
    stage.on('pg.facts', () => pgFacts({ upstreamHost: null, ...pg }));
    const upstreams = () => stage.args('pg.setUpstream').map(([to]) => (to as Upstream | null)?.node ?? null);
    return { stage, n, upstreams };
  }
  test('ahead of where the holder stood: it is cut, and follows nobody', () => {
    const { stage, n, upstreams } = overtaken({}, { position: position(1001n) });
    expect(stage.run(follow(n))).toBe(false);
    expect(upstreams()).toEqual([null]);
    expect(n.db.comparedEpoch).toBeNull();
  });
  test('not told where the holder stands (an older agent): not before it has opened', () => {
    const { stage, n, upstreams } = overtaken({ stood: undefined });
    expect(stage.run(follow(n))).toBe(false);
    expect(upstreams()).toEqual([null]);
    stage.store.put('sync', syncRecord({ leader: 'c', epoch: 6 }));
    stage.sees(n);
    expect(stage.run(follow(n))).toBe(true);
  });
  test('what it still reads from another is cut before the position is compared', () => {
    const { stage, n, upstreams } = overtaken({}, { upstreamHost: hostOf('a') });
    let cut = false;
    stage.on('pg.setUpstream', (to) => {
      cut ||= to === null;
      return { kind: 'done' };
    });
    // What came in meanwhile shows only then.
    stage.on('pg.facts', () =>
      pgFacts({ upstreamHost: cut ? null : hostOf('a'), position: position(cut ? 1200n : 1000n) }),
    );
    expect(stage.run(follow(n))).toBe(false);
    expect(upstreams()).toEqual([null, null]);
  });
  test('after a clean handover the former active is at rest: nothing is cut, so that nothing waits for it', () => {
    const clean = { timeline: 3, lsn: '990' };
    const { stage, n, upstreams } = overtaken({ clean }, { upstreamHost: hostOf('a') });
    expect(stage.run(follow(n))).toBe(true);
    expect(upstreams()).toEqual(['c']);
  });
  test('a lease that moved on while the data was compared is followed by nobody', () => {
    const { stage, n, upstreams } = overtaken();
    stage.on('pg.history', () => {
      stage.store.put('next_master', leaseRecord({ holder: 'a', epoch: 7 }));
      stage.sees(n);
      return [{ tli: 1, lsn: 500n }];
    });
    expect(stage.run(follow(n))).toBe(false);
    expect(upstreams()).toEqual([null]);
  });
  test('a copy that does not answer may need the WAL of the holder, unless commits count on it', () => {
    const silent = { role: 'unknown' as const, position: null };
    const listed = overtaken({}, silent);
    expect(listed.stage.run(follow(listed.n))).toBe(false);
    const fresh = overtaken({}, silent);
    fresh.n.copy.durable = durable('b', { clone: 'b2' });
    expect(fresh.stage.run(follow(fresh.n))).toBe(true);
  });
  test('one that follows needs no rewind, whatever it was to a former holder', () => {
    const { stage, n } = overtaken();
    n.copy.wants = 'rewind';
    expect(stage.run(follow(n))).toBe(true);
    expect(n.copy.wants as string).toBe('nothing');
    const asked = overtaken();
    asked.n.copy.wants = 'reclone';
    asked.stage.run(follow(asked.n));
    expect(asked.n.copy.wants as string).toBe('reclone');
  });
  test('what was just copied from the holder has nothing of its own', () => {
    const { stage, n, upstreams } = overtaken({}, { process: 'stopped', role: 'unknown', position: null });
    expect(stage.run(follow(n, 'a'))).toBe(false);
    expect(stage.run(follow(n, 'c'))).toBe(true);
    expect(upstreams()).toEqual([null, 'c']);
  });
});

describe('asking for votes', () => {
  test('starts with the own vote, the own cut, and keeps silence apart from refusal', () => {
    const { stage, n, request } = voterNode();
    stage.on('peers.votes', () => ({ a: { kind: 'unknown' }, c: { kind: 'vote', vote: vote('c') } }));
    stage.run(gatherVotes(n));
    expect(stage.order(/^pg\.setUpstream/, /^peers/)).toEqual(['pg.setUpstream', 'peers.votes']);
    expect(stage.args('peers.votes')[0]?.slice(0, 2)).toEqual([
      ['a', 'c'],
      { index: request.index, candidate: 'b' },
    ]);
    expect(n.candidacy.ballot).toMatchObject({
      index: request.index,
      syncIndex: n.view?.sync?.index ?? -1,
      own: vote('b'),
      votes: { c: vote('c') },
      refused: { a: 'no answer' },
    });
  });
  test('a node that answers at the address of another does not count twice', () => {
    const { stage, n } = voterNode();
    stage.on('peers.votes', () => ({
      a: { kind: 'vote', vote: vote('c') },
      c: { kind: 'vote', vote: vote('c') },
    }));
    stage.run(gatherVotes(n));
    expect(n.candidacy.ballot).toMatchObject({
      votes: { c: vote('c') },
      refused: { a: 'c answers at its address' },
    });
    expect(Object.keys(n.candidacy.ballot?.votes ?? {})).toEqual(['c']);
  });
  test('without an own vote nobody is asked, and no ballot stands', () => {
    const { stage, n } = voterNode();
    stage.now -= 1;
    stage.run(gatherVotes(n));
    expect(n.candidacy.ballot).toBeNull();
    expect(stage.order(/^peers/)).toEqual([]);
  });
});

test('a vote that is dropped half way gives the lock back', () => {
  const { stage, n, request } = voterNode();
  const asked = answerVote(n, request);
  let step = asked.next();
  while (!step.done && (step.value as Call).method !== 'setUpstream')
    step = asked.next(stage.answer(step.value));
  asked.return({ kind: 'unknown' });
  expect([...stage.locks]).toEqual([]);
});
