/**
 * The real core in a healthy cluster, and one thing that happens to it: how soon, and what does not happen.
 */
import { expect, test } from 'bun:test';
import { machineShutsDown } from '../../agent/core/memory/main.ts';
import { defaultPolicy, type Policy } from '../../agent/core/policy.ts';
import type { Call } from '../../agent/core/ports.ts';
import { bootCluster } from './boot.ts';
import { realCore } from './core.ts';
import { cutPower, hangFiles, killAgent, stickFence } from './faults.ts';
import { copyAgain, switchover } from './operator.ts';
import type { SimNode } from './sim_node.ts';
import { World, type WorldOptions } from './world.ts';

type Seen = { node: string; call: Call; at: number };

/** Three managers, one open for a while, its files led and followed. */
function cluster(seed: number, over: Partial<WorldOptions> = {}, policy: Partial<Policy> = {}) {
  const calls: Seen[] = [];
  const world = new World({
    seed,
    nodes: 3,
    policy: { ...defaultPolicy, ...policy },
    core: realCore,
    fence: 'kernel',
    drift: 0,
    files: true,
    taps: [
      (agent, _, call) => {
        calls.push({ node: agent.machine.name, call, at: world.scheduler.now });
        return null;
      },
    ],
    ...over,
  });
  bootCluster(world, 'existing');
  world.start();
  const pass = (ms: number) => world.run(world.scheduler.now + ms);
  const active = () => world.nodes.find((n) => n.open);
  pass(30_000);
  const first = active() as SimNode;
  calls.length = 0;
  const next = (ms: number, from = first): number | null => {
    const began = world.scheduler.now;
    while (world.scheduler.now < began + ms) {
      pass(10);
      const now = active();
      if (now !== undefined && now !== from) return world.scheduler.now - began;
    }
    return null;
  };
  const of = (port: string, method: string) =>
    calls.filter((c) => c.call.port === port && c.call.method === method);
  return { world, first, active, pass, next, of, sound: () => expect(world.checker.violations).toEqual([]) };
}
const SEEDS = [1, 2, 3, 4, 5, 6];

test.each(SEEDS)('a machine that shuts down hands over before its power goes (seed %i)', (seed) => {
  const { world, first, next, pass, of, sound } = cluster(seed);
  const context = first.agent?.context;
  if (context == null) throw new Error('no agent');
  machineShutsDown(context.main);
  first.agent?.wake();
  // Services and files are waited for before the database is shut, each for a bounded time.
  expect(next(6000)).toBeLessThan(5000);
  pass(3000);
  expect(of('pg', 'startStandby').filter((c) => c.node === first.name)).toEqual([]);
  cutPower(world, first, 60_000);
  pass(10_000);
  sound();
});

test.each(SEEDS)('a restarted agent leaves everything as it is (seed %i)', (seed) => {
  const { world, first, active, pass, of, sound } = cluster(seed);
  const epoch = world.store.view.lease?.value.epoch;
  killAgent(world, first, 300);
  for (let i = 0; i < 500; i += 1) {
    pass(10);
    expect(active()).toBe(first);
  }
  expect(world.store.view.lease?.value.epoch).toBe(epoch);
  expect(of('pg', 'stop')).toEqual([]);
  sound();
});

test.each(SEEDS)(
  'a switchover waits for files, with clients let in, and is refused in the end (seed %i)',
  (seed) => {
    const { world, first, active, pass, sound } = cluster(seed, {}, { switchoverWait: 8000 });
    const target = world.nodes.find((n) => n !== first) as SimNode;
    hangFiles(world, target, 60_000);
    pass(3000);
    switchover(world, target);
    for (let i = 0; i < 400; i += 1) {
      pass(10);
      expect(active()).toBe(first);
    }
    pass(8000);
    expect(world.store.view.request?.value.refused ?? 'expired').toMatch(/files|expired/);
    expect(active()).toBe(first);
    sound();
  },
);

test.each(SEEDS)('a switchover goes on once the files are there (seed %i)', (seed) => {
  const { world, first, next, sound } = cluster(seed);
  const target = world.nodes.find((n) => n !== first) as SimNode;
  hangFiles(world, target, 2000);
  switchover(world, target);
  expect(next(10_000)).not.toBeNull();
  expect(target.open).toBe(true);
  expect(target.files.version).toBeGreaterThanOrEqual(first.files.version);
  sound();
});

test.each(SEEDS)(
  'a failover is not held up by files, and ends with one node that leads them (seed %i)',
  (seed) => {
    const { world, first, active, next, pass, sound } = cluster(seed);
    for (const node of world.nodes) hangFiles(world, node, 30_000);
    pass(1000);
    cutPower(world, first, 20_000);
    expect(next(15_000)).toBeLessThan(8000);
    pass(70_000);
    const leaders = world.nodes.filter((n) => n.files.mode === 'sendonly');
    expect(leaders).toEqual([active() as SimNode]);
    sound();
  },
);

test('of two candidates that are level the one with more of the files goes first', () => {
  let level = 0;
  for (const seed of SEEDS) {
    const { world, first, active, next, pass, sound } = cluster(seed);
    const [one, other] = world.nodes.filter((n) => n !== first);
    if (one === undefined || other === undefined) throw new Error('alone');
    hangFiles(world, one, 60_000);
    pass(5000);
    cutPower(world, first, 60_000);
    pass(1000);
    // What was still under way when the power went reached one of them only: positions go first.
    const ahead = one.server.flushed - other.server.flushed;
    expect(next(20_000)).not.toBeNull();
    expect([seed, ahead, active()?.name]).toEqual([seed, ahead, (ahead > 0 ? one : other).name]);
    if (ahead === 0) level += 1;
    sound();
  }
  expect(level).toBeGreaterThan(0);
});

test('what the new active lacked of the files is in the history', () => {
  const { world, first, next, pass } = cluster(1);
  for (const node of world.nodes) if (node !== first) node.files.version -= 2;
  cutPower(world, first, 60_000);
  expect(next(15_000)).not.toBeNull();
  pass(1000);
  const last = world.store.view.history.at(-1);
  expect(last?.holder).not.toBe(first.name);
  expect(last?.files).toBeDefined();
});

test.each(SEEDS)('without its kernel lease an active gives the role away (seed %i)', (seed) => {
  const { world, first, next, sound } = cluster(seed);
  stickFence(world, first, 120_000);
  const took = next(60_000);
  expect(took).toBeLessThan(defaultPolicy.renewDeadline + defaultPolicy.holdWithoutOpen + 8000);
  sound();
});

test('a service that starts nowhere is passed round a few times, not for ever', () => {
  const { world, active, pass, sound } = cluster(2);
  for (const node of world.nodes) {
    node.services.broken = true;
    node.services.since = world.scheduler.now;
  }
  const roles = () => world.stats.roleChanges;
  pass(30 * 60_000);
  const before = roles();
  expect(before).toBeLessThan(25);
  pass(60 * 60_000);
  // Each move doubles the time that the node it left is no target.
  expect(roles() - before).toBeLessThan(8);
  expect(active()).toBeDefined();
  sound();
}, 60_000);

test('a copy that was asked for is made, also when that agent restarts first', () => {
  const { world, first, pass, of, sound } = cluster(3);
  const node = world.nodes.find((n) => n !== first) as SimNode;
  copyAgain(node);
  pass(60);
  killAgent(world, node, 500);
  pass(40_000);
  const made = of('pg', 'rebuild').filter((c) => c.node === node.name);
  expect(made).toHaveLength(1);
  expect(node.durable.wants).toBeUndefined();
  sound();
});

test('each hook runs once for what it is named after', () => {
  const { world, first, next, pass, of } = cluster(4);
  const target = world.nodes.find((n) => n !== first) as SimNode;
  switchover(world, target);
  expect(next(10_000)).not.toBeNull();
  pass(10_000);
  const ran = of('hooks', 'run').map(
    (c) => `${c.node === first.name ? 'old' : c.node === target.name ? 'new' : 'third'} ${c.call.args[0]}`,
  );
  expect(ran.toSorted()).toEqual([
    'new post-promote',
    'new pre-promote',
    'old follow',
    'old post-demote',
    'old pre-demote',
    'third follow',
  ]);
});

test('a copy whose source is gone is given up for one from the new active', () => {
  let cancelled = 0;
  for (const seed of SEEDS) {
    const { world, first, next, pass, of, sound } = cluster(seed);
    const node = world.nodes.find((n) => n !== first) as SimNode;
    copyAgain(node);
    const began = () => of('pg', 'rebuild').filter((c) => c.node === node.name);
    for (let i = 0; i < 600 && began().length === 0; i += 1) pass(100);
    const told = of('state', 'publish').filter((c) => c.node === node.name).length;
    expect(node.server.rebuilding).toBe(true);
    cutPower(world, first, 90_000);
    expect(next(20_000)).not.toBeNull();
    pass(25_000);
    expect(of('state', 'publish').filter((c) => c.node === node.name).length).toBeGreaterThan(told);
    expect(node.server.proc?.receiver ?? null).not.toBeNull();
    cancelled += of('pg', 'cancelRebuild').length;
    sound();
  }
  expect(cancelled).toBeGreaterThan(0);
});
