import { describe, expect, test } from 'bun:test';
import { call } from '../../agent/core/ports.ts';
import { does, type idleWorld, kindOf, nodeOf, replicating, upstream } from './bench_world.ts';
import { contains } from './branch.ts';
import { killPostmaster } from './faults.ts';

const later = (world: ReturnType<typeof idleWorld>, ms: number) => world.run(world.scheduler.now + ms);

describe('streaming', () => {
  test('standbys receive what the primary writes', () => {
    const world = replicating();
    const [a, b, c] = world.nodes.map((n) => n.server);
    a?.append(1000);
    later(world, 100);
    expect([b?.flushed, c?.flushed]).toEqual([a?.flushed, a?.flushed]);
  });

  test('a cut standby receives nothing more, and everything after it reconnected', () => {
    const world = replicating();
    const [a, b] = [nodeOf(world, 0), nodeOf(world, 1)];
    does(world, b, call('pg', 'setUpstream', null, 2000));
    const cutAt = b.server.flushed;
    a.server.append(1000);
    later(world, 3000);
    expect(b.server.flushed).toBe(cutAt);
    does(world, b, call('pg', 'setUpstream', upstream(a), 2000));
    later(world, 1000);
    expect(b.server.flushed).toBe(a.server.flushed);
  });

  test('a promotion starts a branch of its own, which others follow through the fork', () => {
    const world = replicating();
    const [a, b, c] = [nodeOf(world, 0), nodeOf(world, 1), nodeOf(world, 2)];
    does(world, b, call('pg', 'setUpstream', null, 2000));
    const fork = b.server.flushed;
    expect(kindOf(does(world, b, call('pg', 'promote', 10_000)))).toBe('done');
    expect([b.server.branch.tli, b.server.branch.fork]).toEqual([2, fork]);
    does(world, c, call('pg', 'setUpstream', upstream(b), 2000));
    later(world, 1000);
    expect(c.server.branch).toBe(b.server.branch);
    expect(a.server.branch.tli).toBe(1);
  });

  test('a standby that is ahead of the fork is never served', () => {
    const world = replicating();
    const [a, b, c] = [nodeOf(world, 0), nodeOf(world, 1), nodeOf(world, 2)];
    does(world, b, call('pg', 'setUpstream', null, 2000));
    a.server.append(5000);
    later(world, 500);
    does(world, b, call('pg', 'promote', 10_000));
    does(world, c, call('pg', 'setUpstream', upstream(b), 2000));
    later(world, 20_000);
    expect(c.server.proc?.receiver).toBeNull();
    expect(contains(b.server.branch, b.server.flushed, c.server.branch, c.server.flushed)).toBe(false);
  });

  test('two promotions to one number are two branches, and rewind sees nothing to do', () => {
    const world = replicating();
    const [a, b, c] = [nodeOf(world, 0), nodeOf(world, 1), nodeOf(world, 2)];
    for (const node of [b, c]) does(world, node, call('pg', 'setUpstream', null, 2000));
    a.server.die('test');
    does(world, b, call('pg', 'promote', 10_000));
    does(world, c, call('pg', 'promote', 10_000));
    expect([b.server.branch.tli, c.server.branch.tli]).toEqual([2, 2]);
    b.server.append(700);
    does(world, b, call('pg', 'stop', 'fast', 5000, true));
    does(world, b, call('pg', 'rebuild', 'rewind', upstream(c), 'x'));
    expect(b.server.branch).not.toBe(c.server.branch);
  });

  test('reserved numbers are taken by the next promotion', () => {
    const world = replicating();
    const b = nodeOf(world, 1);
    does(world, b, call('pg', 'setUpstream', null, 2000));
    does(world, b, call('pg', 'reserveTimelines', 7));
    does(world, b, call('pg', 'promote', 10_000));
    expect(b.server.branch.tli).toBe(7);
  });
});

describe('synchronous commit', () => {
  function withList() {
    const world = replicating();
    const a = nodeOf(world, 0);
    const names = world.nodes.slice(1).map((n) => n.server.identity);
    does(world, a, call('pg', 'setSyncList', { names, k: 1 }, 3000));
    does(world, a, call('fence', 'open', Number.POSITIVE_INFINITY, 1000));
    later(world, 1000);
    return { world, a };
  }

  test('a commit is acknowledged once k listed standbys have flushed it', () => {
    const { world, a } = withList();
    a.server.commit(100, 1);
    expect(world.stats.acknowledged).toBe(0);
    later(world, 100);
    expect(world.stats.acknowledged).toBe(1);
    expect(a.server.branch.acked).toBe(a.server.flushed);
  });

  test('it waits while no listed standby is there, and is no acknowledgement when clients are terminated', () => {
    const { world, a } = withList();
    for (const node of world.nodes.slice(1)) does(world, node, call('pg', 'setUpstream', null, 2000));
    a.server.commit(100, 1);
    later(world, 5000);
    expect(world.stats.acknowledged).toBe(0);
    does(world, a, call('fence', 'close', 1500));
    for (const node of world.nodes.slice(1)) does(world, node, call('pg', 'setUpstream', upstream(a), 2000));
    later(world, 1000);
    expect(world.stats.acknowledged).toBe(0);
    expect(nodeOf(world, 1).server.flushed).toBe(a.server.flushed);
  });

  test('a crash loses nothing that was flushed', () => {
    const { world, a } = withList();
    a.server.commit(100, 1);
    const at = a.server.flushed;
    killPostmaster(world, a, 0);
    later(world, 100);
    does(world, a, call('pg', 'startPrimary', 10_000));
    expect(a.server.flushed).toBeGreaterThan(at);
    expect(a.server.branch.id).toBe(0);
  });
});

describe('starting and stopping', () => {
  test('a fresh standby says a position that is too low until it has settled', () => {
    const world = replicating();
    const b = nodeOf(world, 1);
    killPostmaster(world, b, 0);
    does(world, b, call('pg', 'setUpstream', null, 2000));
    does(world, b, call('pg', 'startStandby', 10_000));
    const early = b.server.proc?.settled ?? true;
    const facts = does(world, b, call('pg', 'facts', 500));
    if (!early) expect(facts?.position?.lsn).toBeLessThan(BigInt(b.server.flushed));
    later(world, 5000);
    const settled = does(world, b, call('pg', 'facts', 500));
    expect(settled?.position).toMatchObject({ settled: true, lsn: BigInt(b.server.flushed) });
  });

  test('a clean stop has sent its checkpoint to every standby', () => {
    const world = replicating();
    const [a, b] = [nodeOf(world, 0), nodeOf(world, 1)];
    const stopped = does(world, a, call('pg', 'stop', 'fast', 5000, true));
    expect(stopped).toMatchObject({ kind: 'stopped', clean: true, timeline: 1 });
    const checkpoint = stopped?.kind === 'stopped' ? stopped.checkpoint : null;
    expect(BigInt(b.server.flushed)).toBeGreaterThan(checkpoint ?? 0n);
    expect(a.server.standbySignal).toBe(true);
  });

  test('hung storage keeps a server from being stopped until it wakes', () => {
    const world = replicating();
    const a = nodeOf(world, 0);
    world.setHung(a, 'storage');
    expect(kindOf(does(world, a, call('pg', 'stop', 'immediate', 2000, true)))).toBe('failed');
    world.setHung(a, 'no');
    expect(a.server.proc).toBeNull();
  });

  test('a copy that was interrupted leaves nothing to start on, or the old directory', () => {
    const world = replicating();
    const [a, b] = [nodeOf(world, 0), nodeOf(world, 1)];
    does(world, b, call('pg', 'stop', 'fast', 5000, true));
    does(world, b, call('pg', 'rebuild', 'rewind', upstream(a), 'x'), 100);
    b.killAgent();
    later(world, 30_000);
    expect(b.server.data).toBe('broken');
  });
});
