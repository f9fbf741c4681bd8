import { expect, test } from 'bun:test';
import type { Decision } from '../../agent/core/decide.ts';
import { processes } from '../../agent/core/processes.ts';
import { node, primary, stopped } from './build.ts';
import { Loop } from './loop.ts';

test('the reason of what is tried again says why it failed, and no longer than that', () => {
  const loop = new Loop();
  const n = node('a', loop);
  const reasons: string[] = [];
  let tries = 0;
  const { watcher, keeper, guard, main } = processes(n, {
    newClone: () => 'a2',
    decided: (decision: Decision) => reasons.push(decision.reason),
  });
  const fails = () => ({ kind: 'failed', why: `no such place (tried ${++tries} times)` });
  let works = false;
  loop
    .takes('consul.watch', 200)
    .on('pg.facts', () => (works ? primary() : stopped()))
    .on('pg.stop', () => ({ kind: 'stopped', clean: false, checkpoint: null, timeline: 3 }))
    .on('pg.startStandby', fails)
    .on('pg.startPrimary', fails);
  for (const p of [watcher, keeper, guard, main]) void loop.start(p());
  loop.pass(4000);
  expect(reasons[0]).not.toContain('no such place');
  expect(reasons.filter((reason) => reason.includes('; failed: ')).at(-1)).toContain('no such place');
  expect(n.failures.last?.since).toBeLessThan(loop.now);
  const logged = () => loop.logs.filter(({ message }) => message.includes('no such place')).length;
  const before = { tries, logged: logged() };
  loop.pass(10_000);
  expect(tries).toBeGreaterThan(before.tries + 5);
  expect(logged()).toBe(before.logged);
  works = true;
  loop.pass(4000);
  expect(reasons.at(-1)).not.toContain('no such place');
  expect(n.failures.last?.why ?? '').not.toContain('no such place');
});
