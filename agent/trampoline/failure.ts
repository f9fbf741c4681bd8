/** How something that root did ended. */
import type { Ran } from './root.ts';

/** Undefined: done. A text: why not. */
export type Failure = string | undefined;

/** What a thrown value says. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);

/** Undefined when it ended with 0, else what it said. */
export function failureOf(ran: Ran): Failure {
  if (ran.code === 0) return undefined;
  const said = ran.stderr.trim().split('\n').slice(-3).join('; ').slice(0, 500);
  return said === '' ? `exit code ${ran.code ?? 'none'}` : said;
}
