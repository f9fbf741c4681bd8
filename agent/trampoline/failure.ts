/** How something that root did ended. */
import type { Ran } from './root.ts';

/** Undefined: done. A text: why not. */
export type Failure = string | undefined;

/** Undefined when it ended with 0, else what it said. */
export function failureOf(ran: Ran): Failure {
  if (ran.code === 0) return undefined;
  const said = ran.stderr.trim().split('\n').slice(-3).join('; ').slice(0, 500);
  return said === '' ? `exit code ${ran.code ?? 'none'}` : said;
}
