import { describe, expect, test } from 'bun:test';
import { mayWipe, rebuild } from '../../agent/core/procedures/rejoin.ts';
import { durable, leaseRecord, type NodeOver, node, pgFacts, syncRecord, voter } from './build.ts';
import { Stage } from './stage.ts';

const fork = { tli: 3, lsn: 900n };

/** `a`, a former active that came back diverged; `b` is active now and lists it no more. */
function returned(over: NodeOver = {}) {
  const stage = new Stage();
  stage.store.put('next_master', leaseRecord({ holder: 'b', instance: 'boot-b', epoch: 6 }));
  stage.store.put('sync', syncRecord({ leader: 'b', epoch: 6, timeline: 4, voters: [voter('c')] }));
  const n = node('a', stage, { db: { facts: pgFacts() }, ...over });
  stage.sees(n);
  return { stage, n };
}
const story = (stage: Stage) => stage.order(/^pg/, /^store/);

describe('may the data be wiped?', () => {
  test('no voter, and another node is the leader: yes', () => expect(mayWipe(returned().n)).toBe(true));
  test.each([
    ['it is still a voter', syncRecord({ leader: 'b', voters: [voter('a')] })],
    ['`sync` still names it the leader', syncRecord({ leader: 'a', voters: [voter('b')] })],
  ])('%s: no', (_, sync) => {
    const { stage, n } = returned();
    stage.store.put('sync', sync);
    stage.sees(n);
    expect(mayWipe(n)).toBe(false);
    expect(stage.run(rebuild(n, 'rewind', fork, 'a2')).ok).toBe(false);
    expect(stage.trace).toEqual([]);
  });
  test('an older clone of it is listed: yes, that data is gone already', () => {
    const { stage, n } = returned();
    stage.store.put('sync', syncRecord({ leader: 'b', voters: [voter('a', 'a0')] }));
    stage.sees(n);
    expect(mayWipe(n)).toBe(true);
  });
  test('nothing was ever read: no', () => expect(mayWipe(node('a', new Stage()))).toBe(false));
});

describe('rebuilding', () => {
  test('saved, stopped, read again, new clone durable, and only then the first byte', () => {
    const { stage, n } = returned({ db: { facts: pgFacts({ syncList: null }) } });
    stage.on('pg.rebuild', () => {
      const saved = stage.args('store.save')[0]?.[0];
      expect(saved).toMatchObject({ clone: 'a2', rebuilding: 'rewind' });
      return { kind: 'done' };
    });
    expect(stage.run(rebuild(n, 'rewind', fork, 'a2'))).toEqual({ ok: true });
    expect(story(stage)).toEqual([
      'pg.saveDivergence',
      'pg.stop',
      'store.save',
      'pg.rebuild',
      'store.save',
      'pg.setSyncList',
      'pg.setUpstream',
      'pg.startStandby',
    ]);
    // A promotion soon after has nothing to wait for: the voters are in the file before the server starts.
    expect(stage.args('pg.setSyncList')[0]?.[0]).toEqual({ names: ['c_c1', 'b_b1'], k: 1 });
    // Its data is consistent only with WAL that the source has: it starts following, not cut off.
    expect(stage.args('pg.setUpstream')[0]?.[0]).toMatchObject({ node: 'b' });
    expect(stage.args('pg.rebuild')[0]).toEqual([
      'rewind',
      { node: 'b', host: '10.0.0.b', port: 5432 },
      'a2',
    ]);
    expect(n.copy.durable).toMatchObject({ clone: 'a2', rebuilding: null });
  });
  test('what differs is not saved: nothing is wiped', () => {
    const { stage, n } = returned();
    stage.on('pg.saveDivergence', () => ({ kind: 'failed', why: 'disk full' }));
    expect(stage.run(rebuild(n, 'rewind', fork, 'a2')).ok).toBe(false);
    expect(story(stage)).toEqual(['pg.saveDivergence']);
  });
  test('it became a voter while it stopped: nothing is wiped', () => {
    const { stage, n } = returned();
    stage.on('pg.stop', () => {
      stage.store.put('sync', syncRecord({ leader: 'b', epoch: 6, voters: [voter('c'), voter('a')] }));
      return { kind: 'stopped', clean: true, checkpoint: 1n, timeline: 3 };
    });
    expect(stage.run(rebuild(n, 'rewind', fork, 'a2')).ok).toBe(false);
    expect(story(stage)).not.toContain('pg.rebuild');
    expect(n.copy.durable.clone).toBe('a1');
  });
  test('Consul does not answer after the stop: nothing is wiped', () => {
    const { stage, n } = returned();
    stage.on('consul.read', () => 'unknown');
    expect(stage.run(rebuild(n, 'rewind', fork, 'a2')).ok).toBe(false);
    expect(story(stage)).not.toContain('pg.rebuild');
  });
  test('a stop that is not confirmed: nothing is wiped', () => {
    const { stage, n } = returned();
    stage.on('pg.stop', () => ({ kind: 'failed', why: 'hangs' }));
    expect(stage.run(rebuild(n, 'rewind', fork, 'a2')).ok).toBe(false);
    expect(story(stage)).not.toContain('store.save');
  });
  test('a rewind that fails is followed by a full copy, also after a restart', () => {
    const { stage, n } = returned();
    stage.once('pg.rebuild', () => ({ kind: 'failed', why: 'could not find previous WAL record' }));
    expect(stage.run(rebuild(n, 'rewind', fork, 'a2')).ok).toBe(false);
    expect(stage.args('store.save').at(-1)?.[0]).toMatchObject({ clone: 'a2', rebuilding: 'reclone' });
  });
  test('a crash in the middle leaves the mark that the data cannot be trusted', () => {
    const { stage, n } = returned();
    stage.crashAt(rebuild(n, 'reclone', null, 'a2'), 'pg.rebuild');
    expect(stage.args('store.save').at(-1)?.[0]).toMatchObject({ clone: 'a2', rebuilding: 'reclone' });
  });
  test('what a broken rewind left is not saved again as if it were data', () => {
    const { stage, n } = returned({ copy: { durable: durable('a', { rebuilding: 'rewind' }) } });
    expect(stage.run(rebuild(n, 'reclone', null, 'a2')).ok).toBe(true);
    expect(story(stage)).not.toContain('pg.saveDivergence');
  });
  test('never from a holder that it voted against', () => {
    const { stage, n } = returned({
      copy: { durable: durable('a', { vote: { index: 9999, epoch: 6, holder: 'b' } }) },
    });
    expect(stage.run(rebuild(n, 'rewind', fork, 'a2')).ok).toBe(false);
    expect(stage.trace).toEqual([]);
  });
});
