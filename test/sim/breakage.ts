/**
 * Which mutation does the simulator catch, by which invariant, after how many seeds?
 * `bun test/sim/breakage.ts [ID...]`
 */
import process from 'node:process';
import { loadBroken } from './mutate.ts';
import type { Mutation } from './mutation.ts';
import { mutations } from './mutations.ts';
import { runSeed } from './run.ts';

const of = ({ theme, nodes, unclaimed }: Mutation) => ({
  ...(theme === undefined ? {} : { theme }),
  ...(nodes === undefined ? {} : { nodes }),
  ...(unclaimed === undefined ? {} : { unclaimed }),
});
const limit = Number(process.env.SEEDS ?? '400');
const wanted = process.argv.slice(2);
for (const mutation of mutations) {
  if (wanted.length > 0 && !wanted.includes(mutation.id)) continue;
  const began = performance.now();
  let said = `NOT CAUGHT in ${limit} seeds`;
  try {
    const broken = await loadBroken(mutation.edits);
    for (let seed = 1; seed <= limit; seed += 1) {
      const policy = { synchronousMode: 'quorum' as const, ...mutation.policy };
      const { violations } = runSeed({ seed, core: broken.core, policy, ...of(mutation) });
      const first = violations[0];
      if (first === undefined) continue;
      said = `${seed} seeds: ${first.invariant}`;
      break;
    }
    broken.remove();
  } catch (error) {
    said = `FAILED: ${(error as Error).message}`;
  }
  console.log(
    `${mutation.id.padEnd(22)} ${said.padEnd(60)} ${((performance.now() - began) / 1000).toFixed(1)} s  ${mutation.what}`,
  );
}
