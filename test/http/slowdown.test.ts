import { describe, expect, test } from 'bun:test';
import { oneAtATime } from '../../agent/http/one_at_a_time.ts';
import { counted, createSlowdown, networkOf, type Slowdown } from '../../agent/http/slowdown.ts';

function world() {
  let time = 0;
  return { slowdown: createSlowdown(() => time), pass: (ms: number) => (time += ms), now: () => time };
}

/** Ms to wait, or 0 after a try that was wrong. */
function wrong(slowdown: Slowdown, from: string, name: string): number {
  const attempt = slowdown.begin(from, name);
  if ('wait' in attempt) return attempt.wait;
  attempt.wrong();
  return 0;
}
function right(slowdown: Slowdown, from: string, name: string): boolean {
  const attempt = slowdown.begin(from, name);
  if ('wait' in attempt) return false;
  attempt.right();
  return true;
}

describe('an address that guesses', () => {
  test('waits twice as long after each failure, a minute at most, and is forgotten in time', () => {
    const { slowdown, pass } = world();
    let name = 0;
    for (let i = 0; i < 5; i += 1) expect(wrong(slowdown, '10.0.0.1', `u${name++}`)).toBe(0);
    for (const wait of [1, 2, 4, 8, 16, 32, 60, 60]) {
      expect(wrong(slowdown, '10.0.0.1', `u${name++}`)).toBe(0);
      expect(wrong(slowdown, '10.0.0.1', `u${name++}`)).toBe(wait * 1000);
      pass(wait * 1000);
    }
    expect(wrong(slowdown, '10.0.0.2', 'u')).toBe(0);
    pass(16 * 60_000);
    for (let i = 0; i < 5; i += 1) expect(wrong(slowdown, '10.0.0.1', `u${name++}`)).toBe(0);
  });

  test('finds no way around with many at once: each counts from its begin', () => {
    const { slowdown } = world();
    const begun = Array.from({ length: 20 }, (_, i) => slowdown.begin('10.0.0.1', `u${i}`));
    expect(begun.filter((attempt) => !('wait' in attempt))).toHaveLength(6);
  });

  test('is a whole network of IPv6, and an IPv4 however it is written', () => {
    expect(networkOf('2001:db8:1:2:a:b:c:d')).toBe(networkOf('2001:DB8:1:2::1'));
    expect(networkOf('2001:db8:1:2::1')).not.toBe(networkOf('2001:db8:1:3::1'));
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
    expect(networkOf('::ffff:10.0.0.1')).toBe('10.0.0.1');
  });
});

describe('a name that is guessed from everywhere', () => {
  test('is slowed for strangers, half a minute at most', () => {
    const { slowdown, pass } = world();
    const waits: number[] = [];
    for (let i = 0; i < 40; i += 1) {
      const wait = wrong(slowdown, `10.0.1.${i}`, 'ann');
      waits.push(wait);
      pass(wait);
    }
    expect(waits.slice(0, 10)).toEqual(Array(10).fill(0));
    expect(Math.max(...waits)).toBe(30_000);
  });

  test('is not slowed where its user logged in lately, and for that user no other failure counts there', () => {
    const { slowdown, pass } = world();
    expect(right(slowdown, '10.0.9.9', 'ann')).toBe(true);
    for (let i = 0; i < 300; i += 1) wrong(slowdown, `10.0.1.${i % 250}`, 'ann');
    // Somebody behind the same address guesses other names.
    for (let i = 0; i < 10; i += 1) wrong(slowdown, '10.0.9.9', `u${i}`);
    for (let i = 0; i < 20; i += 1) expect(right(slowdown, '10.0.9.9', 'ann')).toBe(true);
    expect(right(slowdown, '10.0.9.8', 'ann')).toBe(false);
    // From there her own password is not guessed at leisure either.
    for (let i = 0; i < 6; i += 1) wrong(slowdown, '10.0.9.9', 'ann');
    expect(right(slowdown, '10.0.9.9', 'ann')).toBe(false);
    pass(1000);
    expect(right(slowdown, '10.0.9.9', 'ann')).toBe(true);
    // Lately is a week.
    pass(8 * 86_400_000);
    for (let i = 0; i < 20; i += 1) wrong(slowdown, `10.0.2.${i}`, 'ann');
    expect(right(slowdown, '10.0.9.9', 'ann')).toBe(false);
  });

  test('a right password takes back its own try alone, and one that was not looked at counts for nothing', () => {
    const { slowdown } = world();
    for (let i = 0; i < 5; i += 1) wrong(slowdown, '10.0.0.1', 'ann');
    expect(right(slowdown, '10.0.0.1', 'guest')).toBe(true);
    expect(wrong(slowdown, '10.0.0.1', 'ann')).toBe(0);
    expect(wrong(slowdown, '10.0.0.1', 'ann')).toBe(1000);
    for (let i = 0; i < 50; i += 1) {
      const attempt = slowdown.begin('10.0.0.3', 'guest');
      if ('wait' in attempt) throw new Error('slowed by what was not looked at');
      attempt.dropped();
    }
  });
});

test('what is remembered is bounded, and the oldest goes first', () => {
  const table = counted({ free: 0, most: 1000 }, () => 0, 100);
  for (let i = 0; i < 10_000; i += 1) table.failed(`k${i}`);
  expect(table.size).toBe(100);
  expect([table.wait('k9999'), table.wait('k9900'), table.wait('k9899')]).toEqual([1000, 1000, 0]);
});

describe('passwords in line', () => {
  test('are looked at one at a time, known users first, and strangers have a bounded line', async () => {
    const line = oneAtATime();
    const order: string[] = [];
    let now = 0;
    let most = 0;
    const work = (name: string) => async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((done) => setTimeout(done, 1));
      order.push(name);
      now -= 1;
      if (name === 's1') throw new Error('this one fails');
    };
    const all: (Promise<unknown> | undefined)[] = [];
    for (let i = 0; i < 40; i += 1) all.push(line.run(`10.0.0.${i}`, false, work(`s${i}`)));
    const same = Array.from({ length: 10 }, () => oneAtATime()).map((one) =>
      Array.from({ length: 10 }, () => one.run('10.0.0.1', false, async () => {})),
    );
    all.push(line.run('10.0.0.99', true, work('ann')));
    const taken = all.filter((one) => one !== undefined);
    expect(taken).toHaveLength(10);
    await Promise.allSettled(taken);
    expect(order.slice(0, 2)).toEqual(['s0', 'ann']);
    expect(order).toHaveLength(10);
    expect(most).toBe(1);
    for (const one of same) expect(one.filter((job) => job !== undefined)).toHaveLength(4);
    await line.run('10.0.0.1', false, work('after'));
    expect(order.at(-1)).toBe('after');
  });
});
