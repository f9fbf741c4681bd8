import type { ServiceDriver, ServiceUnit } from './driver.ts';

export type KeepRunning = {
  /** ms before the first start. Each pause is twice the one before, until it stays up for a while. */
  firstPause: number;
  /** Is it to run? Asked when it has ended, and again after the pause: a stop may have come meanwhile. */
  wanted(): boolean;
  start(): Promise<unknown>;
  /** It ended by itself. */
  ended?(): void;
  failed?(thrown: unknown): void;
  /** For tests: calls back after `ms`. `idle`: the process may end before that. */
  after?(ms: number, callback: () => void, idle: boolean): void;
};

const LONGEST_PAUSE = 10_000;

const timer: NonNullable<KeepRunning['after']> = (ms, callback, idle) => {
  const set = setTimeout(callback, ms);
  if (idle) set.unref();
};

/**
 * Starts a unit that ended by itself again, ever more slowly when it does not stay. Returns how to give that
 * up.
 */
export function keepRunning(
  driver: Pick<ServiceDriver, 'onExit'>,
  { name }: Pick<ServiceUnit, 'name'>,
  { firstPause, wanted, start, ended, failed, after = timer }: KeepRunning,
): () => void {
  let pause = firstPause;
  return driver.onExit((exit) => {
    if (exit.name !== name || exit.expected || !wanted()) return;
    ended?.();
    after(
      pause,
      () => {
        if (wanted()) start().catch((thrown: unknown) => failed?.(thrown));
      },
      false,
    );
    pause = Math.min(pause * 2, LONGEST_PAUSE);
    after(
      LONGEST_PAUSE * 2,
      () => {
        pause = firstPause;
      },
      true,
    );
  });
}
