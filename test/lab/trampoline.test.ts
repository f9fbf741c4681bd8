/** The attacks on the trampoline, and the systemd driver behind it, each on a VM of its own. */
import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { missing } from './probe.ts';

const reasons = await missing();

/** How many steps went well, and the words of those that did not. */
function outcome(scenario: string) {
  const argv = [join(import.meta.dirname, 'main.ts'), scenario];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
    encoding: 'utf8',
    timeout: 400_000,
  });
  const lines = stdout.trim().split('\n');
  const failed = lines.filter((line) => line.includes('FAILED'));
  return { status, failed, stderr, ok: lines.filter((line) => line.startsWith('ok ')).length };
}

describe.skipIf(reasons.length > 0)('on a VM, as cfyuser', () => {
  test('no attack on the trampoline gets through, every refusal is logged, and what is allowed works', () => {
    const { ok, ...rest } = outcome('trampoline');
    expect(rest).toEqual({ status: 0, failed: [], stderr: '' });
    expect(ok).toBeGreaterThan(90);
  }, 410_000);

  test('the systemd driver keeps the promises of every service driver, and its own', () => {
    const { ok, ...rest } = outcome('systemd');
    expect(rest).toEqual({ status: 0, failed: [], stderr: '' });
    expect(ok).toBe(16);
  }, 410_000);
});
