/**
 * Calls that take effect late. Whoever asks for a change gives it up at its deadline; the change may hang on
 * a disk or wait for its turn, and goes on later. So each takes a claim when it is asked for, and shows it
 * right before it writes: a later change of the same matter has made it void by then, and so has its own
 * deadline. What only shuts has no deadline.
 */
import type { Deadline } from '../../platform/clock.ts';

export type Matter =
  | 'upstream'
  | 'promotion'
  | 'list'
  | 'fence'
  | 'start'
  | 'slots'
  | 'identity'
  | 'certificates'
  | 'copy';

export interface Claim {
  /**
   * Throws with the reason when nothing may be written for it any more. With nothing awaited between this and
   * the write.
   */
  check(): void;
}

export interface Claims {
  /**
   * A change of `matter` is asked for: all earlier ones are void. After `end` it is void itself; null: it
   * only shuts, and does so however late.
   */
  take(matter: Matter, end: Deadline | null): Claim;
  /** No change, but a write that is right only as long as no later change of `matter` is asked for. */
  under(matter: Matter, end: Deadline | null): Claim;
  /**
   * The changes of these matters that were asked for are void: something else was asked for that rules them
   * out.
   */
  outdate(...matters: Matter[]): void;
  /** Whoever asked is gone. All that could give something is void; what shuts goes on. */
  abandon(): void;
  /** Everything is void from now on: another driver has the files. */
  close(): void;
}

export const OUTDATED = 'something later was requested meanwhile';
export const TOO_LATE = 'its time ran out before it could be written';

export function createClaims(): Claims {
  const turns = new Map<Matter, number>();
  let abandoned = 0;
  let closed = false;

  const turnOf = (matter: Matter): number => turns.get(matter) ?? 0;
  const next = (matter: Matter): void => void turns.set(matter, turnOf(matter) + 1);
  const under = (matter: Matter, end: Deadline | null): Claim => {
    const turn = turnOf(matter);
    const asker = abandoned;
    return {
      check() {
        if (closed) throw new Error('the driver is closed');
        if (turnOf(matter) !== turn) throw new Error(OUTDATED);
        if (end === null) return;
        if (abandoned !== asker) throw new Error('whoever asked for it is gone');
        if (end.over()) throw new Error(TOO_LATE);
      },
    };
  };

  return {
    take(matter, end) {
      next(matter);
      return under(matter, end);
    },
    under,
    outdate(...matters) {
      for (const matter of matters) next(matter);
    },
    abandon() {
      abandoned++;
    },
    close() {
      closed = true;
    },
  };
}
