/** The replicated files as last seen, and what they were last told. Written here alone. */
import { type FileFacts, NO_FILES } from '../ports.ts';

export type FilesMemory = {
  /** As main last looked. */
  facts: Readonly<FileFacts>;
  /**
   * What they were told and did (null: the last try failed), when, own clock, and how often in vain since.
   */
  told: Readonly<{ what: string | null; at: number; tries: number }>;
};

export const newFiles = (): FilesMemory => ({
  facts: NO_FILES,
  told: { what: null, at: Number.NEGATIVE_INFINITY, tries: 0 },
});

export function seeFiles(files: FilesMemory, facts: FileFacts): void {
  files.facts = facts;
}

/** True: it failed, and this is the first time of several in a row. */
export function tellFiles(files: FilesMemory, what: string, isDone: boolean, now: number): boolean {
  const isFirst = files.told.what !== what && files.told.tries === 0;
  files.told = { what: isDone ? what : null, at: now, tries: isDone ? 0 : files.told.tries + 1 };
  return !isDone && isFirst;
}
