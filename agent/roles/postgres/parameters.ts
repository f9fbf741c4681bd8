/**
 * Which parameters are written. A file that was changed since is not believed: one line that the server does
 * not take would keep every later change out of it, the fence's too. Until its own program has read the new
 * ones, those in force stay.
 */
import type { Settings } from './conf.ts';
import type { PgOptions } from './options.ts';
import { rehearse } from './rehearse.ts';

/** Milliseconds. */
const TRIAL = 5000;
/**
 * Milliseconds until parameters that were refused are tried again: what was wrong may have been outside the
 * file.
 */
const AGAIN = 60_000;

export interface Parameters {
  /**
   * Those to write, given what is written. Where the server's program has yet to be asked, it is, and these
   * are those of before.
   */
  toWrite(written: Settings): Record<string, string>;
  /** Resolves when it has said its word, for a start that goes by it. Nothing that shuts waits for it. */
  settle(written: Settings): Promise<void>;
}

const same = (a: Record<string, string>, b: Record<string, string>): boolean => {
  const entries = Object.entries(a);
  return entries.length === Object.keys(b).length && entries.every(([name, value]) => b[name] === value);
};

export function createParameters(
  o: PgOptions,
  tried = () => rehearse(o, TRIAL),
  now = () => performance.now(),
): Parameters {
  const wanted = o.parameters ?? {};
  let passed = false;
  let trial: Promise<void> | null = null;
  let refused = Number.NEGATIVE_INFINITY;

  const ask = async (): Promise<void> => {
    const outcome = await tried();
    passed = outcome.kind === 'done';
    if (outcome.kind === 'done') return;
    refused = now();
    trial = null;
    o.say?.(`the former parameters stay in force: ${outcome.why}`);
  };
  /** The first ones were tried before start or join changed anything. */
  const known = ({ parameters }: Settings) => passed || parameters === undefined || same(parameters, wanted);
  const settle = async (written: Settings): Promise<void> => {
    if (known(written) || now() - refused < AGAIN) return;
    trial ??= ask();
    await trial;
  };

  return {
    settle,
    toWrite(written) {
      void settle(written);
      return known(written) ? wanted : (written.parameters ?? wanted);
    },
  };
}
