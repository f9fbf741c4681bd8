import { stripVTControlCharacters } from 'node:util';

export type Count = { passed: number; failed: number; skipped: number };

/** The counts in the summary that `bun test` prints at its end; undefined when it did not get that far. */
export function bunSummary(output: string): Count | undefined {
  const plain = stripVTControlCharacters(output);
  const last = (word: string): number | undefined => {
    const found = [...plain.matchAll(new RegExp(`^ *(\\d+) ${word}s?$`, 'gm'))].at(-1);
    return found ? Number(found[1]) : undefined;
  };
  const passed = last('pass');
  const failed = last('fail');
  if (passed === undefined || failed === undefined) return undefined;
  return {
    passed,
    failed: failed + (last('error') ?? 0),
    skipped: (last('skip') ?? 0) + (last('todo') ?? 0),
  };
}

/**
 * What one `bun test` process is worth: a crash, a time limit or an exit code nobody explains is a failure
 * too.
 */
export function judge(output: string, code: number | null, timedOut: boolean): Count {
  const count = bunSummary(output) ?? { passed: 0, failed: 1, skipped: 0 };
  const unexplained = (code !== 0 || timedOut) && count.failed === 0;
  return unexplained ? { ...count, failed: 1 } : count;
}

/** The lines that name the tests that failed, each once. */
export function failedTests(output: string): string[] {
  const lines = stripVTControlCharacters(output).split('\n');
  return [...new Set(lines.filter((line) => line.startsWith('(fail) ')))];
}
