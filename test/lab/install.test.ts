/** Install, teardown and uninstall on a manager with a database, on a VM of its own. */
import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { missing } from './probe.ts';

const reasons = await missing();

describe.skipIf(reasons.length > 0)('a manager on a VM', () => {
  test('is prepared as documented, given back as it was, and nothing of ours is left', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, 'main.ts'), 'install'],
      { encoding: 'utf8', timeout: 290_000 },
    );
    const lines = stdout.trim().split('\n');
    expect({ status, stderr, failed: lines.filter((line) => line.includes('FAILED')) }).toEqual({
      status: 0,
      stderr: '',
      failed: [],
    });
    expect(lines.filter((line) => line.startsWith('ok ')).length).toBeGreaterThan(35);
  }, 300_000);
});
