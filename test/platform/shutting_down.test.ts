import { describe, expect, test } from 'bun:test';
import { machineStops } from '../../agent/platform/shutting_down.ts';

const says = (stdout: string) => async () => ({ code: 1, stdout, stderr: '' }) as never;

describe('the machine goes down', () => {
  test('only when systemd says so', async () => {
    expect(await machineStops(says('stopping\n'))).toBe(true);
    for (const word of ['running', 'degraded', 'starting', 'unknown', ''])
      expect(await machineStops(says(`${word}\n`))).toBe(false);
  });
  test('is not assumed where systemd does not answer', async () => {
    expect(
      await machineStops(async () => {
        throw new Error('no such program');
      }),
    ).toBe(false);
  });
});
