import { expect, test } from 'bun:test';
import { drain } from './lanes.ts';

/** Runs so many jobs of 20 ms; how many there were at a time at most, and the order in which they began. */
async function run(count: number, lanes: { always: number; most: number }, used: number) {
  let [now, most] = [0, 0];
  const begun: number[] = [];
  const jobs = Array.from({ length: count }, (_, index) => index);
  const work = async (job: number) => {
    begun.push(job);
    now += 1;
    most = Math.max(most, now);
    await Bun.sleep(20);
    now -= 1;
  };
  await drain(jobs, lanes, work, async () => used);
  return { most, begun };
}

test('every job is done once, in order, by as many at a time as there is room for', async () => {
  expect(await run(7, { always: 2, most: 3 }, 0.1)).toEqual({ most: 3, begun: [0, 1, 2, 3, 4, 5, 6] });
});

test('on a machine without room the lanes beyond those that there always are begin nothing', async () => {
  const { most, begun } = await run(7, { always: 2, most: 4 }, 0.95);
  expect([most, begun.length]).toEqual([2, 7]);
}, 30_000);

test('one at a time is one at a time', async () => {
  expect((await run(3, { always: 1, most: 1 }, 0)).most).toBe(1);
});

test('no jobs, no work', async () => {
  expect((await run(0, { always: 2, most: 3 }, 0)).most).toBe(0);
});
