/** What a run has found so far, and its last words. */
import process from 'node:process';
import { type Cost, slowest } from './costs.ts';
import type { Count } from './summary.ts';

/** `from` and `to`: when its first job began and its last one ended, in ms. Stages overlap. */
type Sum = Count & { cpuSeconds: number; from: number; to: number };

const sums = new Map<string, Sum>();
const costs: Cost[] = [];
const notes: string[] = [];
const leftOut = new Set<string>();

export const oneFailed: Count = { passed: 0, failed: 1, skipped: 0 };
export const nothing = { seconds: 0, cpuSeconds: 0 };

/** Said now, and once more at the end. */
export function loud(message: string): void {
  notes.push(message);
  console.log(`\n!!! ${message}\n`);
}

/** A job that has just ended. */
export function add(stage: string, count: Count, took: Omit<Cost, 'name'>): void {
  const to = performance.now();
  const from = to - took.seconds * 1000;
  const sum = sums.get(stage) ?? { passed: 0, failed: 0, skipped: 0, cpuSeconds: 0, from, to };
  sum.passed += count.passed;
  sum.failed += count.failed;
  sum.skipped += count.skipped;
  sum.cpuSeconds += took.cpuSeconds;
  sum.from = Math.min(sum.from, from);
  sum.to = to;
  sums.set(stage, sum);
}

export const addCosts = (more: readonly Cost[]): void => void costs.push(...more);

export function leaveOut(stage: string, reasons: readonly string[]): void {
  leftOut.add(stage);
  loud(`stage ${stage}: LEFT OUT, nothing in it was tested. It cannot run here:\n  ${reasons.join('\n  ')}`);
}

/** `stages`: names, in the order to print them. */
export function finish(stages: readonly string[]): never {
  console.log(`\n${slowest(costs, 15)}`);
  console.log(
    '\n=== stages: seconds from their first job to their last (they overlap), and those of the processor',
  );
  const total = { passed: 0, failed: 0, cpuSeconds: 0 };
  for (const stage of new Set([...stages, ...sums.keys()])) {
    const sum = sums.get(stage);
    if (leftOut.has(stage)) console.log(`${stage.padEnd(12)} left out: see below`);
    if (sum === undefined) continue;
    const { passed, failed, cpuSeconds, from, to } = sum;
    const seconds = ((to - from) / 1000).toFixed(1);
    console.log(
      `${stage.padEnd(12)} ${passed} passed, ${failed} failed, ${seconds} s, processor ${cpuSeconds.toFixed(1)} s`,
    );
    total.passed += passed;
    total.failed += failed;
    total.cpuSeconds += cpuSeconds;
  }
  const whole = (performance.now() / 1000).toFixed(1);
  console.log(`${'all'.padEnd(12)} ${whole} s, processor ${total.cpuSeconds.toFixed(1)} s`);
  for (const note of notes) console.log(`!!! ${note}`);
  if (total.passed + total.failed === 0) console.log('!!! nothing ran');
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
}
