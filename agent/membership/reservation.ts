/**
 * How long a reservation lives, and keeping one's own alive while a join goes on: a basebackup may take
 * hours.
 */
import type { JoiningRecord } from '../core/records.ts';
import { AgentError, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { sleep } from '../platform/clock.ts';

/** The most that any reservation lives without a word from its joiner, ms; those of earlier versions too. */
export const LONGEST = 60 * 60_000;
/** Less would end between two of the joiner's calls. */
const SHORTEST = 2 * 60_000;
const EVERY = 20_000;

/** Of a reservation made with a token of that life, ms. */
export const reservationLife = (tokenLife = LONGEST): number =>
  Math.min(LONGEST, Math.max(SHORTEST, tokenLife));

/** When it ends, in milliseconds since 1970. A time that cannot be read has ended. */
export function endOf({ at, lifeMs }: JoiningRecord): number {
  const since = Date.parse(at);
  return Number.isFinite(since) ? since + Math.min(LONGEST, lifeMs ?? LONGEST) : 0;
}

/** `now`: wall clock. */
export const hasEnded = (record: JoiningRecord, now: number): boolean => now >= endOf(record);

/** As one that is over by everybody's clock, for agents of earlier versions too. */
export const endedNow = (held: JoiningRecord, now: number): JoiningRecord => ({
  ...held,
  at: new Date(now - LONGEST).toISOString(),
  lifeMs: 0,
});

export const notAdmitted = (name: string): AgentError =>
  new AgentError({
    class: 'operator',
    code: 'not_admitted',
    message: `${name} is not admitted: it never was, or its reservation ended or was removed`,
    hint: "run 'agent cluster join' again",
  });

/**
 * Keeps the reservation alive until `done` aborts. Resolves with the refusal once the cluster says that there
 * is none; silence, and an active of a version that does not know the call, change nothing.
 */
export async function keepReserved(
  addresses: readonly string[],
  keep: (address: string) => Promise<void>,
  done: AbortSignal,
  every = EVERY,
): Promise<AgentError | undefined> {
  for (let turn = 0; !done.aborted; ) {
    await sleep(every, done);
    if (done.aborted) break;
    try {
      await keep(addresses[turn % addresses.length] ?? '');
    } catch (thrown) {
      if (thrown instanceof AgentError && thrown.code === 'not_admitted') return thrown;
      turn += 1;
    }
  }
  return undefined;
}

/** Reservations are looked at this often, ms. */
export const SWEEP = 10_000;

/**
 * Runs `body` again and again, never beside itself, until aborted; says what failed when it is another thing
 * than before.
 */
export function every(ms: number, body: () => Promise<void>, log: Pick<Logger, 'warn'>): AbortController {
  const end = new AbortController();
  void (async () => {
    let last = '';
    while (!end.signal.aborted) {
      await sleep(ms, end.signal);
      if (end.signal.aborted) return;
      const failed = await body().then(() => '', messageOf);
      if (failed !== '' && failed !== last)
        log.warn(`a reservation that ended is not removed yet: ${failed}`);
      last = failed;
    }
  })();
  return end;
}
