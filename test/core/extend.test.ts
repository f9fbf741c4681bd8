import { describe, expect, test } from 'bun:test';
import { renewWith } from '../../agent/core/lease.ts';
import { extend } from '../../agent/core/procedures/extend.ts';
import { open } from '../../agent/core/procedures/promote.ts';
import { node, primary } from './build.ts';
import { Stage } from './stage.ts';

const gone = () => ({ kind: 'failed', why: 'the helper is gone' });

function active() {
  const stage = new Stage();
  const n = node('a', stage, { fence: { state: 'closed' }, db: { facts: primary() } });
  stage.sees(n);
  stage.run(renewWith(n, []));
  return { stage, n };
}

describe('the kernel lease', () => {
  test('stands up to the end of the right, and is told of each renewal', () => {
    const { stage, n } = active();
    stage.run(open(n));
    expect(n.fence.openUntil).toBe(n.lease.right?.until as number);
    stage.now += 1000;
    stage.run(renewWith(n, []));
    stage.run(extend(n));
    expect(stage.args('fence.extend')).toEqual([[n.lease.right?.until, true]]);
    expect(n.fence.openUntil).toBe(n.lease.right?.until as number);
  });
  test('a renewal while clients were being let in is passed on at once', () => {
    const { stage, n } = active();
    stage.once('fence.open', () => {
      stage.now += 500;
      stage.run(renewWith(n, []));
      return { kind: 'done' };
    });
    stage.run(open(n));
    expect(stage.args('fence.extend')).toEqual([[n.lease.right?.until, true]]);
  });
  test('that cannot be renewed is known to be closed when its time is over, and no sooner', () => {
    const { stage, n } = active();
    stage.run(open(n));
    stage.on('fence.extend', gone);
    stage.now += 1000;
    stage.run(renewWith(n, []));
    stage.run(extend(n));
    expect(n.fence.state).toBe('open');
    stage.now = n.fence.openUntil;
    stage.run(renewWith(n, []));
    stage.run(extend(n));
    expect(n.fence.state).toBe('closed');
    expect(n.fence.outageSince).toBe(n.fence.openUntil);
    expect(stage.wakes).toBeGreaterThan(0);
  });
  test('is left alone while clients are shut out, or this node fences down', () => {
    const { stage, n } = active();
    stage.run(extend(n));
    stage.run(open(n));
    n.fence.running = 1;
    stage.run(extend(n));
    expect(stage.args('fence.extend')).toEqual([]);
  });
  test('of a process that has just begun is kept before it knows whether clients are let in, and nothing follows from its failure', () => {
    const { stage, n } = active();
    n.fence.state = 'unknown';
    stage.run(extend(n));
    expect(stage.args('fence.extend')).toEqual([[n.lease.right?.until, false]]);
    expect(n.fence.state).toBe('unknown');
    stage.on('fence.extend', gone);
    stage.now += 10_000;
    stage.run(renewWith(n, []));
    stage.run(extend(n));
    expect([n.fence.state, n.fence.outageSince]).toEqual(['unknown', null]);
  });
});
