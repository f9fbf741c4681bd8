/**
 * `npm run sim -- --seeds N --seed S [--nodes N] [--minutes M] [--theme NAME] [--jobs N] [--keep]`, or
 * `--seed S --trace`.
 */
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { type PoolOptions, runSeeds } from './pool.ts';
import { type RunResult, runSeed } from './run.ts';
import { summary } from './summary.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string' },
    minutes: { type: 'string', default: '10' },
    theme: { type: 'string' },
    jobs: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    /** Print the whole story of one seed. */
    trace: { type: 'boolean', default: false },
    /** How many of its last lines to print of a seed that failed. */
    tail: { type: 'string', default: '80' },
    /** Go on after a failure, and only name it. */
    keep: { type: 'boolean', default: false },
  },
});

const first = Number(values.seed);
const options: PoolOptions = {
  minutes: Number(values.minutes),
  ...(values.nodes === undefined ? {} : { nodes: Number(values.nodes) }),
  ...(values.theme === undefined ? {} : { theme: values.theme }),
};

function say(result: RunResult): void {
  const violation = result.violations[0];
  if (violation === undefined) return;
  console.log(`seed ${result.seed} (${result.nodes} nodes): ${violation.invariant}: ${violation.detail}`);
}

function traceOf(seed: number): string[] {
  const lines: string[] = [];
  runSeed({ ...options, seed, trace: (line) => lines.push(line) });
  return lines;
}

const began = performance.now();
const results: RunResult[] = [];
if (values.trace) {
  const result = runSeed({ ...options, seed: first, trace: (line) => console.log(line) });
  results.push(result);
  say(result);
} else {
  const count = Number(values.seeds);
  await runSeeds(first, count, options, Number(values.jobs), (result) => {
    results.push(result);
    if (values.keep) say(result);
    if (results.length % 100 === 0) console.error(`${results.length} of ${count} seeds`);
  });
  const failed = results.filter((r) => r.violations.length > 0).sort((a, b) => a.seed - b.seed)[0];
  if (failed !== undefined && !values.keep) {
    for (const line of traceOf(failed.seed).slice(-Number(values.tail))) console.log(line);
    say(failed);
    console.log(`replay with: --seed ${failed.seed} --trace`);
  }
}
console.log(summary(results, (performance.now() - began) / 1000));
if (results.some((r) => r.violations.length > 0)) process.exitCode = 1;
