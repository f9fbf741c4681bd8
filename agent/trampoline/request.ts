/** What comes over the socket of a caller: one line of JSON. Pure. */
import { Refusal } from './command.ts';

/** Said first: who hears it knows that nothing was begun before. */
export const GREETING = 'ready\n';
/** 32 addresses are under 2 KB. */
export const LONGEST = 8 * 1024;
/** Right, but not begun in time: to be tried again. */
export class Late extends Refusal {
  override readonly name = 'Late';
}

const WORDS_MAX = 64;
/** s. Nobody waits longer for anything to begin. */
const AHEAD_MAX = 600;

/** `{"until": SECONDS, "call": [WORD, ...]}`; what else is in it is not looked at. */
export interface Request {
  /** CLOCK_BOOTTIME, s: the caller gives up what has not begun by then. */
  readonly until: number;
  /** The trampoline's arguments. */
  readonly call: readonly string[];
}

/**
 * The words of a line (without its end) that is in time. Throws a Refusal for everything else, `Late` for one
 * that is not. `now`: CLOCK_BOOTTIME, s.
 */
export function callOf(line: string, now: number): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Refusal('the request is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new Refusal('the request is not an object');
  const { until, call } = value as Partial<Record<keyof Request, unknown>>;
  if (!Array.isArray(call) || call.length > WORDS_MAX || !call.every((word) => typeof word === 'string'))
    throw new Refusal(`'call' is not a list of at most ${WORDS_MAX} words`);
  if (typeof until !== 'number' || !Number.isFinite(until)) throw new Refusal("'until' is not a time");
  if (until > now + AHEAD_MAX) throw new Refusal(`'until' is more than ${AHEAD_MAX} s ahead`);
  if (until < now) throw new Late('too late: its caller has given up');
  return call as string[];
}
