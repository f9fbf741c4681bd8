import { expect, test } from 'bun:test';
import { createSerial } from '../../agent/platform/serial.ts';

test('one at a time, in the order in which they were asked for', async () => {
  const inTurn = createSerial();
  const seen: string[] = [];
  const first = Promise.withResolvers<void>();
  const one = inTurn(async () => {
    seen.push('one begins');
    await first.promise;
    seen.push('one ends');
    return 1;
  });
  const two = inTurn(() => {
    seen.push('two');
    return 2;
  });
  await Promise.resolve();
  first.resolve();
  expect(await Promise.all([two, one])).toEqual([2, 1]);
  expect(seen).toEqual(['one begins', 'one ends', 'two']);
});

test('what fails is told to who asked for it, and does not hold up the next', async () => {
  const inTurn = createSerial();
  const rejected = inTurn(() => Promise.reject(new Error('no')));
  const threw = inTurn(() => {
    throw new Error('never');
  });
  const next = inTurn(() => 'done');
  await expect(rejected).rejects.toThrow('no');
  await expect(threw).rejects.toThrow('never');
  expect(await next).toBe('done');
});
