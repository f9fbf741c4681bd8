import { describe, expect, test } from 'bun:test';
import { call, type Procedure } from '../../agent/core/ports.ts';
import { does, idleWorld, nodeOf } from './bench_world.ts';
import { freezeAgent, pauseMachine } from './faults.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';

describe('scheduler', () => {
  test('events run by time, and in the order they were made where times are equal', () => {
    const scheduler = new Scheduler();
    const seen: string[] = [];
    for (const [ms, name] of [
      [5, 'late'],
      [1, 'first'],
      [1, 'second'],
      [3, 'middle'],
    ] as const) {
      scheduler.after(ms, () => seen.push(`${name}@${scheduler.now}`));
    }
    scheduler.runUntil(100, () => false);
    expect(seen).toEqual(['first@1', 'second@1', 'middle@3', 'late@5']);
    expect(scheduler.now).toBe(100);
  });

  test('a thousand random events come in order', () => {
    const scheduler = new Scheduler();
    const random = new Random(7);
    const seen: number[] = [];
    for (let i = 0; i < 1000; i += 1) scheduler.after(random.next() * 1000, () => seen.push(scheduler.now));
    scheduler.runUntil(1000, () => false);
    expect(seen).toHaveLength(1000);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  test('a cancelled event does not run', () => {
    const scheduler = new Scheduler();
    let ran = false;
    const timer = scheduler.after(1, () => {
      ran = true;
    });
    scheduler.cancel(timer);
    scheduler.runUntil(10, () => false);
    expect(ran).toBe(false);
  });
});

test('equal seeds give equal numbers, other seeds and streams others', () => {
  const draw = (seed: number, stream: number) => {
    const random = new Random(seed, stream);
    return Array.from({ length: 5 }, () => random.next());
  };
  expect(draw(1, 1)).toEqual(draw(1, 1));
  expect(draw(1, 1)).not.toEqual(draw(2, 1));
  expect(draw(1, 1)).not.toEqual(draw(1, 2));
});

describe('agents', () => {
  function* waits(log: string[], name: string, ms: number): Procedure<void> {
    yield* call('time', 'lock', 'lease');
    log.push(`${name} in`);
    yield* call('time', 'sleep', ms);
    log.push(`${name} out`);
  }

  test('a lock lets one procedure in at a time, in the order they asked', () => {
    const world = idleWorld();
    const node = nodeOf(world, 0);
    const log: string[] = [];
    const agent = node.agent;
    agent?.run('a', waits(log, 'a', 50), () => agent.unlock('lease'));
    agent?.run('b', waits(log, 'b', 10), () => agent.unlock('lease'));
    world.run(200);
    expect(log).toEqual(['a in', 'a out', 'b in', 'b out']);
  });

  test('a nap ends when the node is woken, and a wake before it is kept', () => {
    const world = idleWorld();
    const node = nodeOf(world, 0);
    const times: number[] = [];
    function* naps(): Procedure<void> {
      yield* call('time', 'nap', 10_000);
      times.push(world.scheduler.now);
      yield* call('time', 'sleep', 100);
      yield* call('time', 'nap', 10_000);
      times.push(world.scheduler.now);
    }
    world.scheduler.after(500, () => node.agent?.wake());
    world.scheduler.after(550, () => node.agent?.wake());
    does(world, node, naps());
    expect(times.map(Math.round)).toEqual([500, 600]);
  });

  test('a killed agent stops between two calls, what it had sent still takes effect', () => {
    const world = idleWorld();
    const node = nodeOf(world, 0);
    let after = false;
    function* writes(): Procedure<void> {
      yield* call('consul', 'txn', [{ verb: 'set', key: 'config', value: 1 }], 1000);
      after = true;
    }
    node.agent?.run('writes', writes());
    node.killAgent();
    world.run(1000);
    expect(world.store.view.config?.value as unknown).toBe(1);
    expect(after).toBe(false);
  });

  test('a frozen agent hears its answers when it thaws', () => {
    const world = idleWorld();
    const node = nodeOf(world, 0);
    freezeAgent(world, node, 5000);
    expect(does(world, node, call('time', 'sleep', 10))).toBeUndefined();
    expect(world.scheduler.now).toBeGreaterThanOrEqual(5000);
  });

  test('the clock of a paused machine may stand still with it, and drift otherwise', () => {
    const world = idleWorld();
    const { machine } = nodeOf(world, 0);
    machine.rate = 1.01;
    const began = machine.now();
    pauseMachine(world, nodeOf(world, 0), 3000, true);
    world.run(4000);
    expect(machine.now() - began).toBeCloseTo(1010, 0);
  });
});
