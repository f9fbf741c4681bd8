import { describe, expect, test } from 'bun:test';
import type { JoiningRecord } from '../../agent/core/records.ts';
import { AgentError } from '../../agent/errors.ts';
import {
  endOf,
  hasEnded,
  keepReserved,
  LONGEST,
  notAdmitted,
  reservationLife,
} from '../../agent/membership/reservation.ts';

const AT = '2026-11-27T10:00:00.000Z';
const held = (lifeMs?: number, at = AT) =>
  ({ schema: 1, at, ...(lifeMs === undefined ? {} : { lifeMs }) }) as JoiningRecord;
const since = Date.parse(AT);

describe('a reservation', () => {
  test('lives as long as its token was made for, an hour at most, and never so short that its joiner cannot keep it', () => {
    expect(reservationLife(10 * 60_000)).toBe(10 * 60_000);
    expect(reservationLife(24 * LONGEST)).toBe(LONGEST);
    expect(reservationLife(1000)).toBe(120_000);
    expect(reservationLife()).toBe(LONGEST);
  });

  test('ends, also one of an earlier version, one with a life that is too long, and one whose time cannot be read', () => {
    expect(hasEnded(held(60_000), since + 59_999)).toBe(false);
    expect(hasEnded(held(60_000), since + 60_000)).toBe(true);
    expect(endOf(held())).toBe(since + LONGEST);
    expect(endOf(held(99 * LONGEST))).toBe(since + LONGEST);
    expect(hasEnded(held(60_000, 'never'), since)).toBe(true);
  });

  test('is kept while the join goes on: silence goes to the next address, an older active changes nothing', async () => {
    const asked: string[] = [];
    const done = new AbortController();
    const answers = [
      new AgentError({ class: 'transient', code: 'member_silent', message: 'silent' }),
      new AgentError({ class: 'operator', code: 'not_found', message: 'no such call' }),
    ];
    const kept = keepReserved(
      ['a', 'b'],
      async (address) => {
        asked.push(address);
        const thrown = answers.shift();
        if (thrown !== undefined) throw thrown;
        if (asked.length === 4) done.abort();
      },
      done.signal,
      1,
    );
    expect(await kept).toBeUndefined();
    expect(asked).toEqual(['a', 'b', 'a', 'a']);
  });

  test('that was removed is said to the join', async () => {
    const refused = await keepReserved(
      ['a'],
      () => Promise.reject(notAdmitted('m4')),
      new AbortController().signal,
      1,
    );
    expect(refused?.code).toBe('not_admitted');
  });
});
