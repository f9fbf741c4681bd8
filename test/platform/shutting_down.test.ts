import { describe, expect, test } from 'bun:test';
import { machineStops } from '../../agent/platform/shutting_down.ts';

const says = (stdout: string) => async () => ({ code: 1, stdout, stderr: '' }) as never;
const silent = async () => {
  throw new Error('no such program');
};

describe('the machine goes down', () => {
  test('when systemd says so, and not when it says anything else', async () => {
    expect(await machineStops(says('stopping\n'), () => false)).toBe(true);
    for (const word of ['running', 'degraded', 'starting', 'maintenance'])
      expect(await machineStops(says(`${word}\n`), () => true)).toBe(false);
  });
  test.each([
    ['cannot be asked any more', says('')],
    ['knows no state', says('unknown\n')],
    ['is not there', silent],
  ])('where systemd %s: when nobody may log in any more', async (_, start) => {
    expect(await machineStops(start, (path) => path === '/run/nologin')).toBe(true);
    expect(await machineStops(start, () => false)).toBe(false);
  });
});
