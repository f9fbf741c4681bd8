import { describe, expect, test } from 'bun:test';
import { createGate } from '../../agent/lease_helper/gate.ts';
import type { GateHands } from '../../agent/lease_helper/gate_hands.ts';

/** A kernel, a clock and a machine that do as told. Seconds. */
function bench(longest = 4) {
  let clock = 1000;
  let timers: { at: number; callback: () => void }[] = [];
  const log: string[] = [];
  const world = {
    /** When the entry ends; 0: there is none. */
    entryEnds: 0,
    mark: null as number | null,
    fencedDown: 0,
    broken: new Set<'open' | 'shut' | 'rules'>(),
    /** What setting takes. */
    slow: 0,
    sets: 0,
    cutting: Promise.resolve(),
    rulesTake: Promise.resolve(),
    open: () => world.entryEnds > clock,
    log,
  };
  const hands: GateHands = {
    now: () => clock,
    after: (seconds, callback) => {
      const timer = { at: clock + seconds, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    async rules() {
      if (world.broken.has('rules')) throw new Error('no rules');
      await world.rulesTake;
    },
    async open(seconds) {
      if (world.broken.has('open')) throw new Error('ipset does not answer');
      world.sets += 1;
      clock += world.slow;
      world.entryEnds = clock + seconds;
    },
    async shut() {
      if (world.broken.has('shut')) throw new Error('ipset does not answer');
      world.entryEnds = 0;
    },
    mark: (deadline) => {
      world.mark = deadline;
    },
    cut: () => {
      log.push(world.open() ? 'reset while open' : 'clients reset');
      return world.cutting;
    },
    async fenceDown() {
      log.push('fenced down');
      world.fencedDown += 1;
    },
    closed: () => log.push('closed'),
    opened: () => log.push('opened'),
    say: (_level, line) => log.push(line),
  };
  const gate = createGate(longest, hands);
  /** Time passes; timers fire on their moment, and what they start runs to its end. */
  async function pass(seconds: number, watch: () => void = () => {}): Promise<void> {
    const end = clock + seconds;
    for (;;) {
      const next = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      timers = timers.filter((timer) => timer !== next);
      clock = Math.max(clock, next.at);
      watch();
      next.callback();
      await gate.settled();
    }
    clock = Math.max(clock, end);
    watch();
  }
  /** Time passes step by step, with things under way that never end. */
  async function tick(seconds: number): Promise<void> {
    for (let i = 0; i < seconds * 20; i++) {
      clock += 0.05;
      const due = timers.filter((timer) => timer.at <= clock);
      timers = timers.filter((timer) => !due.includes(timer));
      for (const { callback } of due) callback();
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
  }
  return { gate, world, pass, tick, now: () => clock, jump: (seconds: number) => (clock += seconds) };
}

describe('a renewal', () => {
  test('opens until the deadline and not past it, though timeouts are whole seconds', async () => {
    const { gate, world, pass, now } = bench();
    const deadline = now() + 3.97;
    expect(await gate.renew(deadline)).toBe('ok');
    expect(world.open()).toBe(true);
    await pass(3.9);
    expect(world.open()).toBe(true);
    await pass(0.08);
    expect(world.open()).toBe(false);
    expect(world.fencedDown).toBe(1);
  });

  test('every second keeps it open without a break, and sets the entries once each', async () => {
    const { gate, world, pass, now } = bench();
    for (let i = 0; i < 20; i++) {
      expect(await gate.renew(now() + 3.98)).toBe('ok');
      await pass(1, () => expect(world.open()).toBe(true));
    }
    expect(world.sets).toBe(20);
    expect(world.fencedDown).toBe(0);
  });

  test('of the fast preset that stops coming leaves it open for its whole right', async () => {
    const { gate, world, pass, now } = bench(2);
    await gate.renew(now() + 1.97);
    await pass(1.9);
    expect(world.open()).toBe(true);
    await pass(0.1);
    expect(world.open()).toBe(false);
  });

  test('with less than a second left deletes the entries', async () => {
    const { gate, world, now } = bench();
    await gate.renew(now() + 3);
    expect(await gate.renew(now() + 0.99)).toBe('closed');
    expect(world.open()).toBe(false);
  });

  test('further ahead than the longest right is refused and changes nothing', async () => {
    const { gate, world, now } = bench();
    expect(await gate.renew(now() + 4.2)).toStartWith('refused');
    expect(world.open()).toBe(false);
    expect(world.mark).toBeNull();
  });

  test('that took past its deadline to set is taken back at once', async () => {
    const { gate, world, now } = bench();
    world.slow = 5;
    expect(await gate.renew(now() + 3.5)).toBe('closed');
    expect(world.open()).toBe(false);
    await gate.settled();
    expect(world.fencedDown).toBe(1);
  });

  test('is written down before the first entry is made', async () => {
    const { gate, world, now } = bench();
    world.broken.add('open');
    const seen: (number | null)[] = [];
    Object.defineProperty(world, 'mark', {
      set: (value) => seen.push(value),
      get: () => seen.at(-1) ?? null,
    });
    expect(await gate.renew(now() + 3)).toStartWith('failed');
    expect(seen).toEqual([now() + 3, null]);
  });

  test('without rules in force opens nothing', async () => {
    const { gate, world, now } = bench();
    world.broken.add('rules');
    expect(await gate.renew(now() + 3)).toBe('failed: no rules');
    expect(world.open()).toBe(false);
    expect(gate.deadline).toBeNull();
  });

  test('that fails later leaves the earlier deadline to the kernel and fences down at its own', async () => {
    const { gate, world, pass, now } = bench();
    await gate.renew(now() + 3);
    await pass(1);
    world.broken.add('open');
    expect(await gate.renew(now() + 3)).toStartWith('failed');
    await pass(2.1);
    expect(world.open()).toBe(false);
    await pass(1);
    expect(world.fencedDown).toBe(1);
  });
});

describe('the deadline', () => {
  test('is not waited for when the agent says that the database could not be shut', async () => {
    const { gate, world, now } = bench();
    await gate.renew(now() + 3.5);
    expect(await gate.end()).toBe('closed');
    await gate.settled();
    expect(world.fencedDown).toBe(1);
    expect(world.open()).toBe(false);
    expect(gate.deadline).toBeNull();
  });

  test('is forgotten after an orderly close: a standby keeps its server', async () => {
    const { gate, world, pass, now } = bench();
    await gate.renew(now() + 3);
    expect(await gate.close()).toBe('closed');
    expect(world.open()).toBe(false);
    await pass(10);
    expect(world.fencedDown).toBe(0);
    expect(world.mark).toBeNull();
  });

  test('missed by a machine that slept is acted on as soon as it wakes', async () => {
    const { gate, world, pass, now, jump } = bench();
    await gate.renew(now() + 3);
    jump(3600);
    await pass(0);
    expect(world.fencedDown).toBe(1);
    expect(world.open()).toBe(false);
  });

  test('fences down even when the entries cannot be deleted', async () => {
    const { gate, world, pass, now } = bench();
    await gate.renew(now() + 3);
    world.broken.add('shut');
    await pass(3.1);
    expect(world.fencedDown).toBe(1);
  });
});

describe('a helper that was restarted', () => {
  test('goes on with a deadline that still runs', async () => {
    const { gate, world, pass, now } = bench();
    world.entryEnds = now() + 2;
    await gate.resume(now() + 2.5);
    await pass(1);
    expect(world.fencedDown).toBe(0);
    await pass(1.6);
    expect(world.fencedDown).toBe(1);
    expect(world.mark).toBeNull();
  });

  test('is content when the holder renews at once, though the deadline passed while it was away', async () => {
    const { gate, world, pass, now } = bench();
    await gate.resume(now() - 1);
    await pass(0.2);
    expect(await gate.renew(now() + 3)).toBe('ok');
    await pass(1);
    expect(world.fencedDown).toBe(0);
    expect(world.open()).toBe(true);
  });

  test('fences down when the deadline passed while it was away and nobody renews', async () => {
    const { gate, world, pass, now } = bench();
    await gate.resume(now() - 1);
    await pass(0.4);
    expect(world.fencedDown).toBe(1);
  });

  test('that was frozen, and killed for it, ends clients and server at its very start, and opens nothing', async () => {
    const { gate, world, now } = bench();
    world.entryEnds = 0;
    await gate.resume(now() - 8);
    expect(world.log.slice(1)).toEqual(['clients reset', 'fenced down']);
    expect([world.fencedDown, world.mark, world.open()]).toEqual([1, null, false]);
    // What lay in the agent's buffers moves nothing on: there is no deadline to move.
    expect(await gate.extend(now() + 3)).toBe('closed');
    expect([world.sets, world.open()]).toEqual([0, false]);
  });

  test('does not believe a deadline further ahead than any right', async () => {
    const { gate, world, pass, now } = bench();
    await gate.resume(now() + 1e6);
    await pass(4.1);
    expect(world.fencedDown).toBe(1);
  });

  test('shuts what it finds open without a deadline', async () => {
    const { gate, world, now } = bench();
    world.entryEnds = now() + 3;
    await gate.resume(null);
    expect(world.open()).toBe(false);
    expect(world.fencedDown).toBe(0);
  });
});

describe("the cluster's own limit", () => {
  test('refuses what is further ahead, and is never above that of the file', async () => {
    const { gate, world, now } = bench(4);
    expect(await gate.limit(2)).toBe('limit 2.00');
    expect(await gate.renew(now() + 2.1)).toBe('refused: too far ahead');
    expect(world.open()).toBe(false);
    expect(await gate.renew(now() + 2)).toBe('ok');
    expect(await gate.limit(3)).toBe('limit 3.00');
    expect(await gate.renew(now() + 3)).toBe('ok');
    expect(await gate.limit(60)).toBe('limit 4.00');
    expect(await gate.renew(now() + 4.1)).toBe('refused: too far ahead');
    expect(await gate.renew(now() + 4)).toBe('ok');
  });
  test('lets a deadline run on that was told before', async () => {
    const { gate, world, pass, now } = bench(4);
    await gate.renew(now() + 4);
    await gate.limit(1);
    await pass(3.5);
    expect([world.open(), world.fencedDown]).toEqual([true, 0]);
    await pass(1);
    expect([world.open(), world.fencedDown]).toEqual([false, 1]);
  });
});

describe('clients', () => {
  const resets = (log: readonly string[]) =>
    log.filter((line) => line.includes('reset') || line === 'fenced down');

  test('are reset at the deadline, once shut out and before their server is killed', async () => {
    const { gate, world, pass, now } = bench();
    await gate.renew(now() + 3.97);
    await pass(4);
    expect(resets(world.log)).toEqual(['clients reset', 'fenced down']);
  });

  test('are reset by a close before it is answered, once', async () => {
    const { gate, world, now } = bench();
    await gate.renew(now() + 3.97);
    expect(await gate.close()).toBe('closed');
    expect(resets(world.log)).toEqual(['clients reset']);
    expect(await gate.close()).toBe('closed');
    expect(resets(world.log)).toEqual(['clients reset']);
  });

  test('are reset although the entries could not be deleted: the kernel ends those itself', async () => {
    const { gate, world, pass, now } = bench();
    await gate.renew(now() + 3.97);
    world.broken.add('shut');
    await pass(4);
    expect(resets(world.log)).toEqual(['clients reset', 'fenced down']);
  });

  test('that cannot be reset in time hold up neither the killing nor a close', async () => {
    const { gate, world, now, tick } = bench();
    world.cutting = new Promise(() => {});
    await gate.renew(now() + 3.97);
    const closed = gate.close();
    await tick(1);
    expect(await closed).toBe('closed');
    await gate.renew(now() + 2);
    await tick(3);
    expect(world.fencedDown).toBe(1);
  });

  test('of a manager in no cluster are nobody to reset when a helper starts or stops nothing', async () => {
    const { gate, world } = bench();
    await gate.resume(null);
    await gate.close();
    expect(resets(world.log)).toEqual([]);
  });
});

describe('an extension', () => {
  test('moves a deadline that runs, as a renewal does', async () => {
    const { gate, world, pass, now } = bench();
    await gate.renew(now() + 3.97);
    await pass(2);
    expect(await gate.extend(now() + 3.97)).toBe('ok');
    await pass(3);
    expect([world.open(), world.fencedDown]).toEqual([true, 0]);
    expect(await gate.extend(now() + 5)).toBe('refused: too far ahead');
  });

  test('opens nothing that was never open, was closed, or ran out', async () => {
    const { gate, world, pass, now } = bench();
    expect(await gate.extend(now() + 3)).toBe('closed');
    await gate.renew(now() + 3);
    await gate.close();
    expect(await gate.extend(now() + 3)).toBe('closed');
    await gate.renew(now() + 3);
    await pass(3.1);
    expect(await gate.extend(now() + 3)).toBe('closed');
    expect([world.open(), world.mark, world.sets]).toEqual([false, null, 2]);
  });

  test('goes on with what an earlier helper left open, also a moment after it ran out', async () => {
    for (const left of [2, -0.2]) {
      const { gate, world, pass, now } = bench();
      await gate.resume(now() + left);
      await pass(0.1);
      expect(await gate.extend(now() + 3)).toBe('ok');
      await pass(2);
      expect([world.open(), world.fencedDown]).toEqual([true, 0]);
    }
  });
});

describe('its signs of life', () => {
  test('end while an order is at work for too long, and go on when it is done', async () => {
    const { gate, world, now, tick } = bench();
    let go = () => {};
    world.rulesTake = new Promise<void>((done) => {
      go = done;
    });
    const asked = gate.renew(now() + 3);
    await tick(9);
    expect(gate.serves(10)).toBe(true);
    await tick(2);
    expect(gate.serves(10)).toBe(false);
    go();
    expect(await asked).toBe('closed');
    expect(gate.serves(10)).toBe(true);
  });
});
