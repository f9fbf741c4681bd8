import { expect, test } from 'bun:test';
import { setAgainAt, timeoutFor } from '../../agent/lease_helper/timeouts.ts';

test('a timeout never lasts past the deadline, and is never zero seconds that would mean for ever', () => {
  for (let left = -2; left < 20; left += 0.01) {
    const seconds = timeoutFor(100 + left, 100);
    expect(Number.isInteger(seconds)).toBe(true);
    expect(seconds).toBeLessThanOrEqual(Math.max(0, left));
    if (left < 1) expect(seconds).toBe(0);
    if (left >= 1) expect(left - seconds).toBeLessThan(1);
  }
});

test('rounds down: 1.9 seconds are one', () => {
  expect(timeoutFor(101.9, 100)).toBe(1);
  expect(timeoutFor(100.99, 100)).toBe(0);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('a deadline of %p opens nothing', (deadline) => {
  expect(timeoutFor(deadline, 100)).toBe(0);
});

test('an entry that is set again when due ends within a tenth of a second before the deadline', () => {
  for (let left = 1.05; left < 13; left += 0.01) {
    const deadline = 100 + left;
    let ends = 100 + timeoutFor(deadline, 100);
    let now = 100;
    for (let times = 0; times < 20; times++) {
      const at = setAgainAt(deadline, ends, now);
      if (at === undefined) break;
      expect(at).toBeGreaterThan(now);
      expect(at).toBeLessThan(ends);
      // The timer is a little late.
      now = at + 0.005;
      const seconds = timeoutFor(deadline, now);
      if (seconds >= 1) ends = now + seconds;
    }
    expect(ends).toBeLessThanOrEqual(deadline);
    expect(deadline - ends).toBeLessThan(0.1);
  }
});

test('the default preset renewed every second is not set again in between', () => {
  const at = setAgainAt(103.97, 103, 100);
  expect(at).toBeGreaterThan(101.5);
});
