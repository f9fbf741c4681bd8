import { describe, expect, test } from 'bun:test';
import { fenceDown } from '../../agent/core/procedures/fence_down.ts';
import { node, primary, vote } from './build.ts';
import { Stage } from './stage.ts';

function active() {
  const stage = new Stage();
  const n = node('a', stage, {
    fence: { state: 'open' },
    db: { facts: primary() },
    candidacy: { mandate: { kind: 'founder', epoch: 5 } },
  });
  n.candidacy.ballot = { index: 1, syncIndex: 1, own: vote('a'), votes: {}, refused: {}, at: 0 };
  return { stage, n };
}
const steps = ['fence.close', 'pg.stop', 'services.down'];

describe('fence down', () => {
  test('clients out, server stopped at once and to come back as a standby, then the services', () => {
    const { stage, n } = active();
    stage.run(fenceDown(n, 'test'));
    expect(stage.trace).toEqual(steps);
    expect(stage.args('pg.stop')[0]).toEqual(['immediate', n.policy.stopTimeout, true]);
    expect([n.fence.state, n.fence.running, n.candidacy.mandate, n.candidacy.ballot]).toEqual([
      'closed',
      0,
      null,
      null,
    ]);
  });
  test('every step is attempted, whatever failed before it', () => {
    const { stage, n } = active();
    for (const step of ['fence.close', 'pg.stop', 'services.down'] as const)
      stage.on(step, () => ({ kind: 'failed', why: 'no' }));
    stage.run(fenceDown(n, 'test'));
    expect(stage.trace).toEqual(steps);
    expect(n.fence.state).toBe('unknown');
    expect(stage.logs.some((l) => l.level === 'error')).toBe(true);
  });
  test('a fence that failed beside a confirmed stop counts as closed', () => {
    const { stage, n } = active();
    stage.on('fence.close', () => ({ kind: 'failed', why: 'no' }));
    stage.run(fenceDown(n, 'test'));
    expect(n.fence.state).toBe('closed');
  });
  test('dropped half way it no longer holds main and the keeper up', () => {
    const { stage, n } = active();
    const down = fenceDown(n, 'test');
    let step = down.next();
    step = down.next(stage.answer(step.value as never));
    expect(n.fence.running).toBe(1);
    down.return(undefined);
    expect(n.fence.running).toBe(0);
  });
  test('two at once are counted', () => {
    const { n } = active();
    const [one, two] = [fenceDown(n, 'one'), fenceDown(n, 'two')];
    one.next();
    two.next();
    expect(n.fence.running).toBe(2);
    one.return(undefined);
    two.return(undefined);
    expect(n.fence.running).toBe(0);
  });
});
