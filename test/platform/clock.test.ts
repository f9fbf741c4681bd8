import { describe, expect, test } from 'bun:test';
import { deadline, sleep, Timeout, until, within } from '../../agent/platform/clock.ts';

describe('until', () => {
  test.each([0, deadline(0)])('asks at least once, however little time there is', async (timeout) => {
    expect(await until(() => 'here', { timeout })).toBe('here');
    expect(await until(async () => null, { timeout })).toBeUndefined();
  });

  test('undefined, null and false are no answer; whatever else comes first is', async () => {
    const answers = [undefined, null, false, 0];
    expect(await until(() => answers.shift(), { timeout: 30_000, every: 1 })).toBe(0);
    expect(answers).toEqual([]);
  });

  test('a deadline that began before counts what was spent of it', async () => {
    const timeout = deadline(1);
    await sleep(5);
    let asked = 0;
    expect(await until(() => ++asked > 1, { timeout, every: 1 })).toBeUndefined();
    expect(asked).toBe(1);
  });

  test('an aborted signal ends it between two questions', async () => {
    const abort = new AbortController();
    let asked = 0;
    const ask = () => {
      asked += 1;
      abort.abort();
      return false;
    };
    expect(await until(ask, { timeout: 30_000, every: 30_000, signal: abort.signal })).toBeUndefined();
    expect(asked).toBe(1);
  });

  test('pauses grow up to the longest', async () => {
    let asked = 0;
    // Doubling without an end, the last pause alone would be 2^29 ms.
    expect(await until(() => ++asked === 30, { timeout: 30_000, every: 1, longest: 2 })).toBe(true);
  });

  test('what the condition throws ends it', async () => {
    const broken = until(() => Promise.reject(new Error('no')), { timeout: 30_000 });
    await expect(broken).rejects.toThrow('no');
  });
});

test('within: what does not answer in time is a Timeout that names it', async () => {
  expect(await within(30_000, 'it', Promise.resolve('here'))).toBe('here');
  const late = within(1, 'it', new Promise(() => {}));
  await expect(late).rejects.toThrow(Timeout);
  await expect(late).rejects.toThrow('it: no answer in 1 ms');
});
