import { describe, expect, test } from 'bun:test';
import type { Outcome } from '../../../agent/core/postgres.ts';
import { deadline } from '../../../agent/platform/clock.ts';
import { createTurns, OVERTAKEN, type Turn } from '../../../agent/roles/postgres/turns.ts';

const done: Outcome = { kind: 'done' };
const overtaken: Outcome = { kind: 'failed', why: OVERTAKEN };
const long = () => deadline(60_000);
const nothing = async () => {};

/** A start whose launch lasts until `resolve`. */
function slowStart(turns = createTurns(), undo: () => Promise<void> = nothing) {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const outcome = turns.start(long(), (turn) => turn.launch(() => promise), undo);
  return { turns, outcome, resolve };
}

describe('a start', () => {
  test('with no stop has its own outcome and nothing is undone', async () => {
    let undone = 0;
    const { outcome, resolve } = slowStart(createTurns(), async () => void undone++);
    resolve(done);
    expect([await outcome, undone]).toEqual([done, 0]);
  });

  test('overtaken before its launch does not launch', async () => {
    const turns = createTurns();
    const { promise, resolve } = Promise.withResolvers<void>();
    let launched = 0;
    const work = async (turn: Turn) => {
      await promise;
      return await turn.launch(async () => {
        launched++;
        return done;
      });
    };
    const outcome = turns.start(long(), work, nothing);
    await turns.stop(nothing);
    resolve();
    expect([await outcome, launched]).toEqual([overtaken, 0]);
  });

  test('overtaken in its launch is undone, after the stop and not beside it', async () => {
    const order: string[] = [];
    const { turns, outcome, resolve } = slowStart(createTurns(), async () => void order.push('undone'));
    const stop = turns.stop(async () => {
      resolve(done);
      await turns.launched(long());
      order.push('stopped');
    });
    expect(await outcome).toEqual(overtaken);
    await stop;
    expect(order).toEqual(['stopped', 'undone']);
  });

  test('asked for while a stop is under way waits for its end', async () => {
    const turns = createTurns();
    const { promise, resolve } = Promise.withResolvers<void>();
    const order: string[] = [];
    const stop = turns.stop(async () => {
      await promise;
      order.push('stopped');
    });
    const work = async () => {
      order.push('started');
      return done;
    };
    const outcome = turns.start(long(), work, nothing);
    resolve();
    expect(await outcome).toEqual(done);
    await stop;
    expect(order).toEqual(['stopped', 'started']);
  });

  test('is not begun when a stop does not end in its time, nor when another stop comes meanwhile', async () => {
    const turns = createTurns();
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = turns.stop(() => promise);
    let begun = 0;
    const work = async () => {
      begun++;
      return done;
    };
    expect(await turns.start(deadline(1), work, nothing)).toMatchObject({ kind: 'failed' });
    const waiting = turns.start(long(), work, nothing);
    const second = turns.stop(nothing);
    resolve();
    await Promise.all([stop, second]);
    expect([await waiting, begun]).toEqual([overtaken, 0]);
  });

  test('waits for another start, so that two never prepare the same files', async () => {
    const { turns, outcome, resolve } = slowStart();
    let begun = false;
    const work = async () => {
      begun = true;
      return done;
    };
    const second = turns.start(long(), work, nothing);
    await Promise.resolve();
    expect(begun).toBe(false);
    resolve(done);
    expect([await outcome, await second, begun]).toEqual([done, done, true]);
  });
});

test('a stop knows of a launch until it has ended, and no longer than its own time', async () => {
  const { turns, outcome, resolve } = slowStart();
  expect(turns.launching()).toBe(true);
  expect(await turns.launched(deadline(1))).toBe(false);
  resolve(done);
  expect(await turns.launched(long())).toBe(true);
  expect(await outcome).toEqual(done);
  expect(turns.launching()).toBe(false);
});
