import { describe, expect, test } from 'bun:test';
import { renewWith } from '../../agent/core/lease.ts';
import { demoted, hookLater, whenServicesRun } from '../../agent/core/memory/hooks.ts';
import type { NodeContext } from '../../agent/core/node.ts';
import { fenceDown } from '../../agent/core/procedures/fence_down.ts';
import { release } from '../../agent/core/procedures/handover.ts';
import { open } from '../../agent/core/procedures/promote.ts';
import { follow } from '../../agent/core/procedures/vote.ts';
import { processes } from '../../agent/core/processes.ts';
import { leaseRecord, node, primary } from './build.ts';
import { Loop } from './loop.ts';
import { Stage } from './stage.ts';

function active() {
  const stage = new Stage();
  const n = node('a', stage, { fence: { state: 'closed' }, db: { facts: primary() } });
  stage.sees(n);
  stage.run(renewWith(n, []));
  return { stage, n };
}
const servicesRun = (n: NodeContext, missing: number) =>
  whenServicesRun(n.hooks, missing, n.now() - n.fence.openedAt);
const due = (n: NodeContext) => n.hooks.due.map((h) => h.phase);

describe('after the fact', () => {
  test('post-promote: once, when the services run', () => {
    const { stage, n } = active();
    stage.run(open(n, { epoch: '5' }));
    servicesRun(n, 1);
    expect(due(n)).toEqual([]);
    servicesRun(n, 0);
    servicesRun(n, 0);
    expect(n.hooks.due).toEqual([{ phase: 'post-promote', facts: { epoch: '5' } }]);
  });
  test('post-promote does not wait for ever for a service that does not start', () => {
    const { stage, n } = active();
    stage.run(open(n, { epoch: '5' }));
    stage.now += 31_000;
    servicesRun(n, 1);
    expect(due(n)).toEqual(['post-promote']);
  });
  test('the same active opening again, after a restart in place, was not promoted', () => {
    const { stage, n } = active();
    stage.run(open(n));
    servicesRun(n, 0);
    expect(due(n)).toEqual([]);
  });
  test.each([
    ['fenced down', (s: Stage, n: ReturnType<typeof active>['n']) => s.run(fenceDown(n, 'test'))],
    ['released', (s: Stage, n: ReturnType<typeof active>['n']) => s.run(release(n, 'test'))],
  ])('post-demote: %s, once, and no post-promote any more', (_, end) => {
    const { stage, n } = active();
    stage.run(open(n, { epoch: '5' }));
    end(stage, n);
    demoted(n.hooks, { to: '', reason: 'again' });
    servicesRun(n, 0);
    expect(n.hooks.due).toEqual([{ phase: 'post-demote', facts: { to: '', reason: 'test' } }]);
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
    expect(n.hooks.due.map((h) => h.facts.active)).toEqual(['a', 'c']);
  });
  test('one that hangs holds nothing but the hooks behind it up', () => {
    const loop = new Loop();
    const n = node('b', loop);
    const { main, hookRunner } = processes(n, { newClone: () => 'b2' });
    loop.takes('hooks.run', 20_000);
    hookLater(n.hooks, 'follow', { active: 'a' });
    hookLater(n.hooks, 'follow', { active: 'c' });
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
