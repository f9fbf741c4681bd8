import { expect, test } from 'bun:test';
import { runSeed } from './run.ts';

const SEEDS = 100;

test(`every invariant holds in ${SEEDS} seeds in which calls take effect late`, () => {
  let went = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const trace = (line: string) => {
      if (line.includes('a call that hung goes on')) went += 1;
    };
    const { violations } = runSeed({ seed, theme: 'late calls', trace });
    expect(violations.map((v) => `seed ${seed}: ${v.invariant}: ${v.detail}`)).toEqual([]);
  }
  // Worth something only when calls did hang, and went on.
  expect(went).toBeGreaterThan(SEEDS);
}, 300_000);
