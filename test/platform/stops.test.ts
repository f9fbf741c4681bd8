import { describe, expect, test } from 'bun:test';
import { createStops, stopsByName } from '../../agent/platform/stops.ts';

describe('stops', () => {
  test('are under way from the call on, beside each other, until the last has ended', async () => {
    const stops = createStops();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const both = [stops.stop(() => first.promise), stops.stop(() => second.promise)];
    expect(stops.underWay()).toBe(true);
    first.resolve();
    await both[0];
    expect(stops.underWay()).toBe(true);
    second.resolve();
    await stops.settled();
    expect(stops.underWay()).toBe(false);
    await both[1];
  });

  test('are under way before their work begins', async () => {
    const stops = createStops();
    expect(await stops.stop(async () => stops.underWay())).toBe(true);
  });

  test('that fail are over too', async () => {
    const stops = createStops();
    await expect(stops.stop(() => Promise.reject(new Error('stuck')))).rejects.toThrow('stuck');
    expect(stops.underWay()).toBe(false);
    await stops.settled();
  });

  test('outdate at once the starts that were asked for before, and no later one', async () => {
    const stops = createStops();
    const before = stops.asked();
    expect(before()).toBe(false);
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = stops.stop(() => promise);
    const beside = stops.asked();
    expect([before(), beside()]).toEqual([true, false]);
    resolve();
    await stop;
    expect([before(), beside()]).toEqual([true, false]);
    stops.outdate();
    expect([beside(), stops.underWay()]).toEqual([true, false]);
  });

  test('of one name leave another alone', async () => {
    const stops = stopsByName();
    const other = stops('b').asked();
    const own = stops('a').asked();
    await stops('a').stop(async () => {
      expect([stops('a').underWay(), stops('b').underWay()]).toEqual([true, false]);
    });
    expect([own(), other()]).toEqual([true, false]);
  });
});
