/**
 * Lease times that differ from node to node, and the one fault that made two actives of it: the active is cut
 * off.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { defaultPolicy } from '../../agent/core/policy.ts';
import type { LeaseRecord } from '../../agent/core/records.ts';
import { bootCluster } from './boot.ts';
import { realCore } from './core.ts';
import { otherFile, setTimes } from './lease_times.ts';
import { type BrokenCore, loadBroken } from './mutate.ts';
import { edit } from './mutation.ts';
import { timesMutations } from './mutations_times.ts';
import { runSeed } from './run.ts';
import type { Core, SimNode } from './sim_node.ts';
import { World } from './world.ts';

const SEEDS = Array.from({ length: 30 }, (_, i) => i + 1);

/**
 * Three managers, one of them active; `factors`: check_ttl_multiplier of each one's file, the active's first.
 */
function cluster(seed: number, core: Core, factors: number[], clusterFactor: number | null = null) {
  const world = new World({
    seed,
    nodes: 3,
    policy: { ...defaultPolicy },
    core,
    fence: seed % 2 === 0 ? 'hba' : 'kernel',
    drift: 0.02,
    files: false,
  });
  // Two actives are counted here, so that the run goes on and shows for how long.
  if (core !== realCore) Object.assign(world.checker, { fail: () => undefined });
  bootCluster(world, 'existing');
  if (clusterFactor !== null) setTimes(world, clusterFactor);
  world.start();
  const active = () => world.nodes.filter((n) => n.open);
  const until = (ms: number, done: () => boolean): boolean => {
    const end = world.scheduler.now + ms;
    while (world.scheduler.now < end && !done()) world.run(world.scheduler.now + 20);
    return done();
  };
  expect(until(60_000, () => active().length === 1)).toBe(true);
  const first = active()[0] as SimNode;
  // A rolling change of the setting: each agent is restarted with its new file, the active first.
  for (const [i, node] of [first, ...world.nodes.filter((n) => n !== first)].entries()) {
    otherFile(world, node, factors[i] ?? 1, 200);
    world.run(world.scheduler.now + 5000);
  }
  world.run(world.scheduler.now + 15_000);
  expect(active()).toEqual([first]);
  const lease = (): LeaseRecord => world.store.view.lease?.value as LeaseRecord;
  return { world, active, until, lease };
}

/** The active is cut off for a minute. How long two were open, and how long until another was. */
function cutOff(seed: number, core: Core, factors: number[], clusterFactor: number | null = null) {
  const { world, active, lease } = cluster(seed, core, factors, clusterFactor);
  const first = active()[0] as SimNode;
  const told = lease().times;
  world.network.isolate([first.machine.index]);
  const began = world.scheduler.now;
  let together = 0;
  let after: number | null = null;
  while (world.scheduler.now < began + 60_000) {
    world.run(world.scheduler.now + 20);
    if (active().length > 1) together += 20;
    if (after === null && active().some((n) => n !== first)) after = world.scheduler.now - began;
    if (world.checker.violations.length > 0) break;
  }
  return { together, after: after ?? Number.POSITIVE_INFINITY, told, violations: world.checker.violations };
}

let before: BrokenCore;
beforeAll(async () => {
  before = await loadBroken(timesMutations.find((m) => m.id === 'B.8 none')?.edits ?? []);
});
afterAll(() => before.remove());

test('one node with check_ttl_multiplier 3, active and cut off: two actives when everybody goes by its file', () => {
  const runs = SEEDS.map((seed) => cutOff(seed, before.core, [3, 1, 1]));
  expect(runs.filter((r) => r.together > 0).length).toBe(SEEDS.length);
}, 120_000);

test('never when the record says by which times it goes: the challengers wait for it', () => {
  for (const seed of SEEDS) {
    const run = cutOff(seed, realCore, [3, 1, 1]);
    expect(run.violations).toEqual([]);
    expect(run.together).toBe(0);
    expect(run.told).toEqual({ renewDeadline: 12_000, leaseDuration: 18_000 });
    expect(run.after).toBeGreaterThan(15_000);
    expect(run.after).toBeLessThan(45_000);
  }
}, 120_000);

test('with times of the cluster every node goes by them, whatever its file says', () => {
  for (const seed of SEEDS.slice(0, 10)) {
    const run = cutOff(seed, realCore, [3, 1, 0.5], 1);
    expect(run.violations).toEqual([]);
    expect(run.told).toEqual({ renewDeadline: 4000, leaseDuration: 6000 });
    expect(run.after).toBeLessThan(30_000);
  }
}, 120_000);

test('set by command while it serves: longer at once, shorter when no longer right can still run; nobody is shut out', () => {
  for (const seed of SEEDS.slice(0, 6)) {
    const { world, active, lease, until } = cluster(seed, realCore, [1, 1, 1], 1);
    const first = active()[0];
    setTimes(world, 3);
    expect(until(5000, () => lease().times?.leaseDuration === 18_000)).toBe(true);
    world.run(world.scheduler.now + 10_000);
    setTimes(world, 0.5);
    const began = world.scheduler.now;
    world.run(began + 3000);
    expect(lease().times?.leaseDuration).toBe(18_000);
    expect(until(20_000, () => lease().times?.leaseDuration === 3000)).toBe(true);
    expect(active()).toEqual([first as SimNode]);
    expect(world.stats.roleChanges).toBe(1);
    expect(world.checker.violations).toEqual([]);
  }
}, 120_000);

test('versions mixed, every file the same, no times in the config key: as safe as before', async () => {
  const none = timesMutations.find((m) => m.id === 'B.8 none')?.edits ?? [];
  const silent = edit(
    'lease.ts',
    'seq: Math.max(next.seq, fresh), times }',
    'seq: Math.max(next.seq, fresh), times: undefined }',
  );
  const older = await loadBroken([...none, silent]);
  try {
    const mixed: Core = (context, hooks) =>
      (context.name === 'm1' || context.name === 'm4' ? older.core : realCore)(context, hooks);
    for (let seed = 1; seed <= 60; seed += 1) {
      const { violations } = runSeed({
        seed,
        core: mixed,
        theme: seed % 2 === 0 ? 'random' : 'frozen active',
      });
      expect(violations).toEqual([]);
    }
  } finally {
    older.remove();
  }
}, 300_000);
