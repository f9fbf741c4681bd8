import { describe, expect, test } from 'bun:test';
import { call, type TxnOp } from '../../agent/core/ports.ts';
import { does, idleWorld, kindOf, nodeOf } from './bench_world.ts';
import { ConsulStore } from './consul.ts';
import { NO_TROUBLE } from './consul_port.ts';

const set = (key: string, value: unknown): TxnOp => ({ verb: 'set', key, value });
const cas = (key: string, value: unknown, index: number): TxnOp => ({ verb: 'cas', key, value, index });

describe('store', () => {
  test('a transaction applies whole or not at all', () => {
    const store = new ConsulStore();
    expect(store.txn([cas('next_master', 'a', 0)], 0, 'a').kind).toBe('ok');
    const before = store.view;
    expect(store.txn([set('config', 1), cas('next_master', 'b', 1)], 0, 'b').kind).toBe('conflict');
    expect(store.view).toBe(before);
  });

  test('all keys of a transaction get its index', () => {
    const store = new ConsulStore();
    const done = store.txn([set('config', 1), set('active', 2)], 0, 'a');
    if (done.kind !== 'ok') throw new Error(done.kind);
    expect([store.view.config?.index, store.view.active?.index]).toEqual([done.index, done.index]);
  });

  test('a write that changes nothing leaves the index', () => {
    const store = new ConsulStore();
    store.txn([set('config', { a: 1 })], 0, 'a');
    const index = store.view.config?.index;
    store.txn([set('config', { a: 1 })], 0, 'a');
    expect(store.view.config?.index).toBe(index as number);
  });

  test('check-index fails on another index and on a missing key', () => {
    const store = new ConsulStore();
    store.txn([set('sync', 1)], 0, 'a');
    const check = (key: string, index: number): TxnOp => ({ verb: 'check-index', key, index });
    expect(store.txn([check('sync', 99), set('config', 1)], 0, 'a').kind).toBe('conflict');
    expect(store.txn([check('active', 0), set('config', 1)], 0, 'a').kind).toBe('conflict');
    expect(store.txn([check('sync', 2), set('config', 1)], 0, 'a').kind).toBe('ok');
  });

  test('a stale read sees an earlier whole', () => {
    const store = new ConsulStore();
    store.txn([set('config', 1)], 1000, 'a');
    store.txn([set('config', 2)], 2000, 'a');
    expect(store.stale(2500, 1000).config?.value as unknown).toBe(1);
    expect(store.stale(2500, 100).config?.value as unknown).toBe(2);
  });
});

describe('requests', () => {
  const write = call('consul', 'txn', [set('config', 1)], 1000);

  test('a lost request is unknown and never applied', () => {
    const world = idleWorld();
    nodeOf(world, 0).trouble = { ...NO_TROUBLE, drop: 1 };
    expect(kindOf(does(world, nodeOf(world, 0), write))).toBe('unknown');
    world.run(60_000);
    expect(world.store.view.config).toBeNull();
  });

  test('a lost reply is unknown and applied', () => {
    const world = idleWorld();
    nodeOf(world, 0).trouble = { ...NO_TROUBLE, lose: 1 };
    const again = call('consul', 'txn', [set('config', 1)], 1000);
    expect(kindOf(does(world, nodeOf(world, 0), again))).toBe('unknown');
    expect(world.store.view.config?.value as unknown).toBe(1);
  });

  test('a late request is unknown first and applied afterwards', () => {
    const world = idleWorld();
    nodeOf(world, 0).trouble = { ...NO_TROUBLE, late: 1 };
    const again = call('consul', 'txn', [set('config', 1)], 1000);
    expect(kindOf(does(world, nodeOf(world, 0), again))).toBe('unknown');
    expect(world.store.view.config).toBeNull();
    world.run(world.scheduler.now + 10_000);
    expect(world.store.view.config?.value as unknown).toBe(1);
  });

  test('a watch returns when something changes, and at its deadline when nothing does', () => {
    const world = idleWorld();
    const node = nodeOf(world, 0);
    world.scheduler.after(700, () => world.store.txn([set('config', 1)], 700, 'x'));
    const index = world.store.view.index;
    const seen = does(world, node, call('consul', 'watch', index, 2000));
    expect(seen === 'unknown' ? null : seen?.index).toBe(index + 1);
    expect(world.scheduler.now).toBeLessThan(750);
    does(world, node, call('consul', 'watch', index + 1, 2000));
    expect(world.scheduler.now).toBeGreaterThan(2690);
  });

  test('only the side with a majority of the servers is served', () => {
    const world = idleWorld();
    world.network.isolate([0]);
    world.run(5000);
    expect([0, 1, 2].map((n) => world.raft.serves(n))).toEqual([false, true, true]);
    world.network.heal();
    expect(world.raft.serves(0)).toBe(true);
  });

  test('one way out of three is enough to reach the leader through another server', () => {
    const world = idleWorld();
    const leader = world.raft.leader as number;
    const node = (leader + 1) % 3;
    world.network.set(node, leader, true);
    world.run(5000);
    expect(world.raft.serves(node)).toBe(true);
  });
});
