/**
 * Which copy of the data this node has, what it promised with it, and whether it must be replaced. Written
 * here alone.
 */
import type { Durable } from '../durable.ts';

/**
 * The one long task (rewind, basebackup) that runs beside main, and from whom it reads; `began` by the own
 * clock.
 */
export type CopyTask = { what: 'rewind' | 'reclone'; from: string; began: number };

export type CopyMemory = {
  /**
   * What must survive a restart. Replaced as a whole: whoever changes it has it stored before anything rests
   * on it, by the call that comes right after.
   */
  durable: Readonly<Durable>;
  /**
   * What main or the operator found that the data needs. A rewind is void once the data was found to be a
   * prefix of the holder's; a reclone ends with the copy alone. Begins with what was stored.
   */
  wants: 'nothing' | 'rewind' | 'reclone';
  /** null: none runs. */
  task: Readonly<CopyTask> | null;
};

export const newCopy = (durable: Durable): CopyMemory => ({
  durable,
  wants: durable.wants ?? 'nothing',
  task: null,
});

/** Cut from everything that this vote excludes, from when it is stored. */
export function promiseVote(copy: CopyMemory, vote: NonNullable<Durable['vote']>): void {
  copy.durable = { ...copy.durable, vote };
}

export function keepWant(copy: CopyMemory, wants: Durable['wants']): void {
  copy.durable = { ...copy.durable, wants };
}

export function want(copy: CopyMemory, what: CopyMemory['wants']): void {
  copy.wants = what;
}

/** All of it is the cluster's: what it was to a former holder says nothing any more. */
export function isNotDiverged(copy: CopyMemory): void {
  if (copy.wants === 'rewind') copy.wants = 'nothing';
}

/** From the first byte on the data is another copy, and not to be trusted. */
export function beginRebuild(copy: CopyMemory, clone: string, rebuilding: 'rewind' | 'reclone'): void {
  copy.durable = { ...copy.durable, clone, rebuilding };
}

/** Left half way: there is nothing to build on, the next try copies everything. */
export function breakRebuild(copy: CopyMemory): void {
  copy.durable = { ...copy.durable, rebuilding: 'reclone' };
}

export function endRebuild(copy: CopyMemory): void {
  copy.durable = { ...copy.durable, rebuilding: null, wants: undefined };
  copy.wants = 'nothing';
}

export function beginTask(copy: CopyMemory, task: CopyTask): void {
  copy.task = task;
}

export function endTask(copy: CopyMemory): void {
  copy.task = null;
}
