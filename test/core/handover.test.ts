import { describe, expect, test } from 'bun:test';
import { renewWith } from '../../agent/core/lease.ts';
import { handover, release } from '../../agent/core/procedures/handover.ts';
import { node, primary } from './build.ts';
import { Stage } from './stage.ts';

const streams = { name: 'b_b1', state: 'streaming', sent: 1000n, flush: 1000n, replay: 1000n };

/** `a`, active; `b` streams and will replay the shutdown checkpoint at 1040. */
function active() {
  const stage = new Stage();
  const n = node('a', stage, { fence: { state: 'open' }, db: { facts: primary() } });
  stage.sees(n);
  stage.run(renewWith(n, []));
  stage
    .on('pg.replication', () => ({ insert: 1000n, timeline: 3, senders: [streams] }))
    .on('pg.stop', (mode) => ({
      kind: 'stopped',
      clean: mode === 'fast',
      checkpoint: mode === 'fast' ? 1040n : null,
      timeline: 3,
    }))
    .on('peers.state', () => ({ replayed: 1041n, timeline: 3, streaming: false }));
  stage.trace.length = 0;
  return { stage, n };
}
const story = (stage: Stage) =>
  stage.order(/^txn/, /^pg\.(checkpoint|stop|startPrimary)/, /^fence/, /^services/, /^peers/);
const holder = (stage: Stage) => [stage.store.lease.holder, stage.store.lease.instance];

describe('switchover', () => {
  test('a database that does not serve is shut before its services are waited for', () => {
    const { stage, n } = active();
    n.db.facts = { ...primary(), accepting: false };
    expect(stage.run(handover(n, 'b', 'test', 'failing')).ok).toBe(true);
    expect(story(stage).slice(0, 3)).toEqual(['pg.checkpoint', 'fence.close', 'services.down']);
  });
  test('services, checkpoint, fence, clean stop, target has replayed, handed over: in this order', () => {
    const { stage, n } = active();
    expect(stage.run(handover(n, 'b', 'test'))).toEqual({ ok: true });
    expect(story(stage)).toEqual([
      'services.down',
      'pg.checkpoint',
      'fence.close',
      'pg.stop',
      'peers.state',
      'txn next_master',
    ]);
    expect(stage.args('pg.stop')[0]).toEqual(['fast', n.policy.stopTimeout, true]);
    expect(stage.store.lease).toMatchObject({
      holder: 'b',
      instance: '',
      epoch: 6,
      from: 'a',
      clean: { timeline: 3, lsn: '1040' },
    });
    expect(n.lease.right).toBeNull();
  });
  test('how long clients have been out goes along, for the downtime that the target measures', () => {
    const { stage, n } = active();
    stage.takes('pg.stop', 70);
    stage.run(handover(n, 'b', 'test'));
    expect(stage.store.lease.closedForMs).toBeGreaterThanOrEqual(70);
  });
});

describe('cancelled before the stop: nothing has happened', () => {
  test.each<[string, () => unknown]>([
    ['the target does not stream', () => ({ insert: 1000n, timeline: 3, senders: [] })],
    [
      'the target streams as an older clone',
      () => ({ insert: 1000n, timeline: 3, senders: [{ ...streams, name: 'b_b0' }] }),
    ],
    ['the target is far behind', () => ({ insert: 99_000_000n, timeline: 3, senders: [streams] })],
    ['the own server does not answer', () => null],
  ])('%s', (_, replication) => {
    const { stage, n } = active();
    stage.on('pg.replication', replication);
    expect(stage.run(handover(n, 'b', 'test')).ok).toBe(false);
    expect(story(stage)).toEqual([]);
    expect(n.fence.state).toBe('open');
  });
  test('the checkpoint fails', () => {
    const { stage, n } = active();
    stage.on('pg.checkpoint', () => ({ kind: 'failed', why: 'timeout' }));
    expect(stage.run(handover(n, 'b', 'test')).ok).toBe(false);
    expect(story(stage)).toEqual(['services.down', 'pg.checkpoint']);
  });
});

describe('cancelled after clients were shut out: open again in place', () => {
  test('clients could not be shut out', () => {
    const { stage, n } = active();
    stage.once('fence.close', () => ({ kind: 'failed', why: 'reload' }));
    expect(stage.run(handover(n, 'b', 'test')).ok).toBe(false);
    expect(holder(stage)).toEqual(['a', 'boot-a']);
    expect(story(stage)).toContain('pg.startPrimary');
    expect(n.fence.state).toBe('open');
  });
  test('services did not stop', () => {
    const { stage, n } = active();
    stage.on('services.down', () => ({ kind: 'failed', why: 'worker hangs' }));
    expect(stage.run(handover(n, 'b', 'test'))).toEqual({
      ok: false,
      why: 'services did not stop: worker hangs',
    });
    expect(holder(stage)).toEqual(['a', 'boot-a']);
    expect(n.fence.state).toBe('open');
  });
  test('the target does not replay the shutdown checkpoint', () => {
    const { stage, n } = active();
    stage.on('peers.state', () => ({ replayed: 1040n, timeline: 3, streaming: true }));
    // The keeper renews beside the procedure; here by hand, before what comes after the wait.
    stage.once('pg.facts', () => {
      stage.now -= 3000;
      return primary({ process: 'stopped' });
    });
    const done = stage.run(handover(n, 'b', 'test'));
    expect(done).toEqual({ ok: false, why: 'b did not replay the shutdown checkpoint in time' });
    expect(holder(stage)).toEqual(['a', 'boot-a']);
    expect(n.fence.state).toBe('open');
  });
  test.each([
    ['on another timeline', { replayed: 5000n, timeline: 2, streaming: true }],
    ['no answer', null],
  ])('a target that is %s has not replayed it', (_, state) => {
    const { stage, n } = active();
    stage.on('peers.state', () => state);
    stage.run(handover(n, 'b', 'test'));
    expect(holder(stage)).toEqual(['a', 'boot-a']);
  });
});

describe('the stop decides', () => {
  test('not confirmed: nothing is handed over, the lease is left to run out', () => {
    const { stage, n } = active();
    stage.on('pg.stop', () => ({ kind: 'failed', why: 'a walsender is stuck' }));
    expect(stage.run(handover(n, 'b', 'test')).ok).toBe(false);
    expect(stage.order(/^txn/)).toEqual([]);
    expect(holder(stage)).toEqual(['a', 'boot-a']);
    expect(n.holding.renewing).toBe(false);
    expect(n.fence.state).toBe('closed');
  });
  test('confirmed but not clean: released for the votes to decide, not handed to the target', () => {
    const { stage, n } = active();
    stage.on('pg.stop', () => ({ kind: 'stopped', clean: false, checkpoint: null, timeline: 3 }));
    stage.run(handover(n, 'b', 'test'));
    expect(stage.store.lease).toMatchObject({ holder: '', clean: null, epoch: 5 });
  });
  test('an unknown outcome of the handover leaves no right behind', () => {
    const { stage, n } = active();
    stage.once('consul.txn', stage.lostUnknown);
    expect(stage.run(handover(n, 'b', 'test'))).toEqual({ ok: false, why: 'handover unknown' });
    expect(n.lease.right).toBeNull();
  });
});

describe('release', () => {
  test('fence, stop, services, then the lease: free, without a word on who may go on', () => {
    const { stage, n } = active();
    expect(stage.run(release(n, 'test')).ok).toBe(true);
    expect(story(stage)).toEqual(['fence.close', 'pg.stop', 'services.down', 'txn next_master']);
    expect(stage.store.lease).toMatchObject({ holder: '', from: 'a', clean: null });
  });
  test('who released it lets others go first for a while', () => {
    const { stage, n } = active();
    stage.run(release(n, 'test'));
    expect(n.candidacy.cooldownUntil).toBeGreaterThan(stage.now);
  });
  test('a stop that is not confirmed: not released, left to run out', () => {
    const { stage, n } = active();
    stage.on('pg.stop', () => ({ kind: 'failed', why: 'hangs' }));
    expect(stage.run(release(n, 'test')).ok).toBe(false);
    expect(stage.order(/^txn/)).toEqual([]);
    expect(n.holding.renewing).toBe(false);
  });
  test('a fence that fails does not keep a confirmed stop from being released', () => {
    const { stage, n } = active();
    stage.on('fence.close', () => ({ kind: 'failed', why: 'reload' }));
    expect(stage.run(release(n, 'test')).ok).toBe(true);
  });
});
