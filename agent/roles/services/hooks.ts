/**
 * Hooks (CONTRACTS 8): executables in HOOKS/PHASE.d, in the order of their names, with a time limit, facts in
 * the environment.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from '../../core/postgres.ts';
import { givenEnvironment } from '../../platform/environment.ts';
import { isExecutable } from '../../platform/paths.ts';
import { run } from '../../platform/process.ts';

const LIMIT = 10_000;

/** Every hook is run, also after one failed; the failures are reported together. No folder: nothing to do. */
export async function runHooks(
  dir: string,
  phase: string,
  facts: Record<string, string>,
  limit = LIMIT,
): Promise<Outcome> {
  const folder = join(dir, `${phase}.d`);
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch {
    return { kind: 'done' };
  }
  const told = Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [`AGENT_${key.toUpperCase()}`, value]),
  );
  const env = { ...givenEnvironment(), ...told };
  const failures: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    if (!isExecutable(path)) continue;
    const result = await run(path, [], { deadline: limit, env: { ...env, AGENT_PHASE: phase } }).catch(
      (thrown) => ({ code: -1, stderr: String(thrown) }),
    );
    if (result.code !== 0) failures.push(`${name}: ${result.stderr.trim().split('\n').at(-1) ?? ''}`);
  }
  return failures.length === 0 ? { kind: 'done' } : { kind: 'failed', why: failures.join('; ') };
}
