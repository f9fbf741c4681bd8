/**
 * Preloaded into a `bun test` process of many files: writes what each of them took to the file that COSTS
 * names.
 */
import { afterAll, afterEach } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import process from 'node:process';
import { COSTS, type Cost } from './costs.ts';

const root = dirname(dirname(import.meta.dirname));
const costs = new Map<string, Cost>();
const TICKS = 100;
let [seconds, cpuSeconds] = [0, 0];

/** Of this process and of those it waited for. */
function cpuSoFar(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]?.split(' ') ?? [];
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
}

/** Since the last test, of whichever file: so what a file loads and prepares is counted with its first. */
function charge(): void {
  const [wall, cpu] = [performance.now() / 1000, cpuSoFar()];
  const name = relative(root, Bun.main);
  const cost = costs.get(name) ?? { name, seconds: 0, cpuSeconds: 0 };
  cost.seconds += wall - seconds;
  cost.cpuSeconds += cpu - cpuSeconds;
  costs.set(name, cost);
  [seconds, cpuSeconds] = [wall, cpu];
}

afterEach(charge);
afterAll(() => {
  charge();
  const path = process.env[COSTS];
  if (path) writeFileSync(path, JSON.stringify([...costs.values()]));
});
