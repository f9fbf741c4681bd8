/**
 * What the long test files take, on two quiet cores, as a run prints it at its end: only for the order in which they are begun. A file
 * that is not here is taken for a short one.
 */
const known: Record<string, number> = {
  'sim/seeds.test.ts': 165,
};

/** `file`: under test/. */
export const secondsOf = (file: string): number => known[file] ?? 0.5;
