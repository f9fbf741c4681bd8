/** What the parts of a run took. Told, never judged: no test asserts a speed. */

export type Cost = {
  name: string;
  seconds: number;
  /** Of the processor, as far as it is known: see Ended in process.ts. */
  cpuSeconds: number;
};

/** Names the file that file_costs.ts writes. */
export const COSTS = 'AGENT_TEST_COSTS';

const column = (seconds: number) => seconds.toFixed(1).padStart(8);

/** The longest ones first, one a line. */
export function slowest(costs: readonly Cost[], most: number): string {
  const first = [...costs].sort((a, b) => b.seconds - a.seconds).slice(0, most);
  const head = `=== the ${first.length} slowest of ${costs.length}: seconds, those of the processor, name`;
  const lines = first.map((cost) => `${column(cost.seconds)} ${column(cost.cpuSeconds)}  ${cost.name}`);
  return [head, ...lines].join('\n');
}

/**
 * Files into so many parts of about equal length, by the seconds that are known of them; each part is in the
 * order of `files`. Parts without a file are left out.
 */
export function split(
  files: readonly string[],
  parts: number,
  secondsOf: (file: string) => number,
): string[][] {
  const sums = Array.from({ length: parts }, () => ({ seconds: 0, files: new Set<string>() }));
  for (const file of [...files].sort((a, b) => secondsOf(b) - secondsOf(a))) {
    const shortest = sums.reduce((best, one) => (one.seconds < best.seconds ? one : best));
    shortest.seconds += secondsOf(file);
    shortest.files.add(file);
  }
  return sums.map((part) => files.filter((file) => part.files.has(file))).filter((part) => part.length > 0);
}
