/**
 * A procedure as data: its steps in order, so that it is read from top to bottom and a test can interrupt it
 * after each.
 */
import type { Report, Steps } from './tracker.ts';

export type ScriptStep<T> = {
  /** As whoever waits for it reads it. */
  readonly name: string;
  /** Takes no time: not shown. */
  readonly quiet?: true;
  /** Left out otherwise. */
  when?(o: T): boolean;
  run(o: T, report: Report): Promise<void>;
  /** What it finds when it was begun before, and why that does no harm. */
  readonly again: string;
};

export async function runScript<T>(script: readonly ScriptStep<T>[], o: T, { step }: Steps): Promise<void> {
  for (const one of script) {
    if (one.when?.(o) === false) continue;
    if (one.quiet) await one.run(o, () => {});
    else await step(one.name, (report) => one.run(o, report));
  }
}
