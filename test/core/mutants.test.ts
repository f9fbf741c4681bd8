/** Takes each point of the protocol out of a copy of the core, and expects its tests to notice. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { type Mutant, mutants } from './mutants.ts';

const root = join(import.meta.dirname, '../..');
let copy = '';

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'agent-mutants-'));
  for (const folder of ['agent/core', 'test/core'])
    cpSync(join(root, folder), join(copy, folder), { recursive: true });
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

/** Exit code of the tests in the copy: 0 when they noticed nothing. */
function run(name: string, timeout = 8000): number | null {
  const args = ['test', '--timeout', '5000', `./test/core/${name}.test.ts`];
  return spawnSync(process.execPath, args, { cwd: copy, stdio: 'ignore', timeout }).status;
}

function without({ file, from, to, test: name }: Mutant): number | null {
  const path = join(copy, 'agent/core', file);
  const whole = readFileSync(path, 'utf8');
  if (!whole.includes(from))
    throw new Error(`${file} has no ${JSON.stringify(from)} any more: adapt the mutant`);
  writeFileSync(path, whole.replaceAll(from, to));
  try {
    return run(name);
  } finally {
    writeFileSync(path, whole);
  }
}

describe('a point of the protocol taken out is noticed', () => {
  test('and with all of them in place the copy passes', () => {
    for (const name of new Set(mutants.map((m) => m.test)))
      expect([name, run(name, 60_000)]).toEqual([name, 0]);
  }, 600_000);
  test.each(mutants.map((m) => [m.point, m] as const))('%s', (_, mutant) =>
    expect(without(mutant)).not.toBe(0),
  );
});
