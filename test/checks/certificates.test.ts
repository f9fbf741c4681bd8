import { expect, test } from 'bun:test';
import { certificates } from '../../agent/checks/certificates.ts';

const DAY = 86_400_000;
const run = (...ends: [string, number][]) =>
  certificates(
    () => ends.map(([what, days]) => ({ what, notAfter: days * DAY })),
    30 * DAY,
    () => 0,
  ).run({ ms: 1000, signal: new AbortController().signal });

test('certificates that end later than the limit pass, and so does a node without any', async () => {
  expect(await run(['agent', 30], ['ca', 4000])).toMatchObject({ verdict: 'pass' });
  expect(await run()).toMatchObject({ verdict: 'pass' });
});

test('one that ends soon is a warning with whole days, one that has ended a failure', async () => {
  expect(await run(['agent', 29.2], ['ca', 4000])).toEqual({
    verdict: 'warn',
    output: 'certificates end: agent in 30 d',
  });
  expect(await run(['agent', 10], ['consul', 0])).toEqual({ verdict: 'fail', output: 'expired: consul' });
});
