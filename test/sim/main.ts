/** `npm run sim -- --seeds N --seed S [--nodes N] [--minutes M] [--trace]`: many seeds, or one with its trace. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { type RunResult, runSeed } from './run.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string' },
    minutes: { type: 'string', default: '10' },
    trace: { type: 'boolean', default: false },
    tail: { type: 'string', default: '120' },
    keep: { type: 'boolean', default: false },
  },
});

const first = Number(values.seed);
const count = values.trace ? 1 : Number(values.seeds);
const common = {
  minutes: Number(values.minutes),
  ...(values.nodes === undefined ? {} : { nodes: Number(values.nodes) }),
};

const began = performance.now();
const results: RunResult[] = [];
const failed: RunResult[] = [];
for (let i = 0; i < count; i += 1) {
  const lines: string[] = [];
  const result = runSeed({
    ...common,
    seed: first + i,
    ...(values.trace ? { trace: (line: string) => lines.push(line) } : {}),
  });
  results.push(result);
  if (values.trace) for (const line of lines) console.log(line);
  if (result.violations.length > 0) {
    failed.push(result);
    report(result);
    if (!values.keep) break;
  }
  if ((i + 1) % 50 === 0) console.error(`${i + 1} of ${count} seeds`);
}

/** A failing seed once more, with its trace. */
function report(result: RunResult): void {
  const violation = result.violations[0];
  console.log(`seed ${result.seed} (${result.nodes} nodes): ${violation?.invariant}: ${violation?.detail}`);
  if (values.trace || values.keep) return;
  const lines: string[] = [];
  runSeed({ ...common, seed: result.seed, trace: (line) => lines.push(line) });
  for (const line of lines.slice(-Number(values.tail))) console.log(line);
  console.log(`replay with: --seed ${result.seed} --trace`);
}

const sum = (of: (r: RunResult) => number) => results.reduce((total, r) => total + of(r), 0);
const virtual = sum((r) => r.virtualMs) / 1000;
const real = (performance.now() - began) / 1000;
console.log(
  [
    `${results.length} seeds, ${failed.length} failed`,
    `${virtual.toFixed(0)} virtual s in ${real.toFixed(1)} s (${(virtual / real).toFixed(0)} per s), ${sum((r) => r.events)} events`,
    `${sum((r) => r.stats.faults)} faults, ${sum((r) => r.stats.takeovers)} failovers, ${sum((r) => r.stats.handovers)} handovers, ${sum((r) => r.stats.promotions)} promotions`,
    `${sum((r) => r.stats.acknowledged)} acknowledgements, ${sum((r) => r.stats.acknowledgedAlone)} while degraded`,
    `closed ${(sum((r) => r.stats.closedMs) / 10 / virtual).toFixed(1)} %, degraded ${(sum((r) => r.stats.degradedMs) / 10 / virtual).toFixed(1)} % of the time`,
    `two open with an excuse (frozen, killed or hung): ${sum((r) => r.stats.excusedTwoOpen)}; left to the operator (D.3): ${sum((r) => r.stats.excusedClosed)}; failsafe answers: ${sum((r) => r.stats.failsafeAsked)}`,
  ].join('\n'),
);
if (failed.length > 0) process.exitCode = 1;
