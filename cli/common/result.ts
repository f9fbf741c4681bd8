/** The result of a check in one word, the same in every table. */
import type { Color } from './table.ts';

/** `warning` counts for what is ok alone, and may be missing: agents of before do not tell it. */
export interface Result {
  readonly ok: boolean;
  readonly warning?: boolean;
}

export const resultText = ({ ok, warning }: Result): string => (!ok ? 'FAIL' : warning ? 'WARN' : 'OK');

export const resultColor = ({ ok, warning }: Result): Color => (!ok ? 'red' : warning ? 'yellow' : 'green');
