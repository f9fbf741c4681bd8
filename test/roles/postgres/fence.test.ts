import { expect, test } from 'bun:test';
import { notSeenRefused } from '../../../agent/roles/postgres/fence.ts';

test('a fence that was not seen in time says so, and one that answered otherwise says what', () => {
  const timeout = new Error('postgres: no answer in 1 ms');
  expect(notSeenRefused(timeout, 0)).toStartWith('the time for it ran out before a client was seen');
  expect(notSeenRefused(timeout, 200)).toContain(
    'was not refused; it got: Error: postgres: no answer in 1 ms',
  );
});
