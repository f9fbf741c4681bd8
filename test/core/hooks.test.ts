import { describe, expect, test } from 'bun:test';
import { renewWith } from '../../agent/core/lease.ts';
import { fenceDown } from '../../agent/core/procedures/fence_down.ts';
import { release } from '../../agent/core/procedures/handover.ts';
import { demoted, whenServicesRun } from '../../agent/core/procedures/hooks.ts';
import { open } from '../../agent/core/procedures/promote.ts';
import { follow } from '../../agent/core/procedures/vote.ts';
import { processes } from '../../agent/core/processes.ts';
import { leaseRecord, node, primary } from './build.ts';
import { Loop } from './loop.ts';
import { Stage } from './stage.ts';

function active() {
  const stage = new Stage();
  const n = node('a', stage, { fence: 'closed', pg: primary() });
  stage.sees(n);
  stage.run(renewWith(n, []));
  return { stage, n };
}
const due = (n: { hooksDue: { phase: string }[] }) => n.hooksDue.map((h) => h.phase);

describe('after the fact', () => {
  test('post-promote: once, when the services run', () => {
    const { stage, n } = active();
    stage.run(open(n, { epoch: '5' }));
    whenServicesRun(n, 1);
    expect(due(n)).toEqual([]);
    whenServicesRun(n, 0);
    whenServicesRun(n, 0);
    expect(n.hooksDue).toEqual([{ phase: 'post-promote', facts: { epoch: '5' } }]);
  });
  test('post-promote does not wait for ever for a service that does not start', () => {
    const { stage, n } = active();
    stage.run(open(n, { epoch: '5' }));
    stage.now += 31_000;
    whenServicesRun(n, 1);
    expect(due(n)).toEqual(['post-promote']);
  });
  test('the same active opening again, after a restart in place, was not promoted', () => {
    const { stage, n } = active();
    stage.run(open(n));
    whenServicesRun(n, 0);
    expect(due(n)).toEqual([]);
  });
  test.each([
    ['fenced down', (s: Stage, n: ReturnType<typeof active>['n']) => s.run(fenceDown(n, 'test'))],
    ['released', (s: Stage, n: ReturnType<typeof active>['n']) => s.run(release(n, 'test'))],
  ])('post-demote: %s, once, and no post-promote any more', (_, end) => {
    const { stage, n } = active();
    stage.run(open(n, { epoch: '5' }));
    end(stage, n);
    demoted(n, { to: '', reason: 'again' });
    whenServicesRun(n, 0);
    expect(n.hooksDue).toEqual([{ phase: 'post-demote', facts: { to: '', reason: 'test' } }]);
  });
  test('who never was the active is not demoted', () => {
    const { stage, n } = active();
    stage.run(fenceDown(n, 'test'));
    expect(due(n)).toEqual([]);
  });
  test('follow: once for each active that is followed', () => {
    const stage = new Stage();
    const n = node('b', stage);
    stage.sees(n);
    stage.run(follow(n));
    stage.run(follow(n));
    stage.store.put('next_master', leaseRecord({ holder: 'c', instance: 'boot-c', epoch: 6 }));
    stage.sees(n);
    stage.run(follow(n));
    expect(n.hooksDue.map((h) => h.facts.active)).toEqual(['a', 'c']);
  });
  test('one that hangs holds nothing but the hooks behind it up', () => {
    const loop = new Loop();
    const n = node('b', loop);
    const { main, hookRunner } = processes(n, { newClone: () => 'b2' });
    loop.takes('hooks.run', 20_000);
    n.hooksDue.push({ phase: 'follow', facts: { active: 'a' } }, { phase: 'follow', facts: { active: 'c' } });
    loop.news(n);
    loop.start(main());
    loop.start(hookRunner());
    loop.pass(10_000);
    expect(loop.args('hooks.run')).toEqual([['follow', { active: 'a' }]]);
    expect(loop.args('services.facts').length).toBeGreaterThan(5);
    loop.pass(20_000);
    expect(loop.args('hooks.run')).toHaveLength(2);
  });
});
