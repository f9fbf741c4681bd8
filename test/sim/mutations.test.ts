import { expect, test } from 'bun:test';
import { loadBroken } from './mutate.ts';
import type { Mutation } from './mutation.ts';
import { mutations } from './mutations.ts';
import { runSeed } from './run.ts';

const ENOUGH = 300;

async function firstViolation(mutation: Mutation): Promise<string | null> {
  const { core, remove } = await loadBroken(mutation.edits);
  try {
    const policy = { synchronousMode: 'quorum' as const, ...mutation.policy };
    const where = {
      ...(mutation.theme === undefined ? {} : { theme: mutation.theme }),
      ...(mutation.unclaimed === undefined ? {} : { unclaimed: mutation.unclaimed }),
      ...(mutation.nodes === undefined ? {} : { nodes: mutation.nodes }),
    };
    const { from = 1 } = mutation;
    for (let seed = from; seed < from + ENOUGH; seed += 1) {
      const violation = runSeed({ seed, core, policy, ...where }).violations[0];
      if (violation !== undefined) return violation.invariant;
    }
    return null;
  } finally {
    remove();
  }
}

for (const mutation of mutations) {
  const { id, what, untested } = mutation;
  if (untested === undefined) {
    test(`${id}: an invariant breaks when ${what}`, async () => {
      expect(await firstViolation(mutation)).not.toBeNull();
    }, 600_000);
  } else {
    test(`${id}: not shown by the simulator (${what}), because ${untested}`, async () => {
      (await loadBroken(mutation.edits)).remove();
    });
  }
}
