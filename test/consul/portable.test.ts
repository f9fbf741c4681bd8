import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = dirname(dirname(import.meta.dirname));
const program = join(import.meta.dirname, 'portable.ts');

const expected = `reset: read ok,ok; write unknown broken, sent 1
close: read ok,ok; write unknown broken, sent 1
half: read ok,ok; write unknown broken, sent 1
silent: read ok,ok; write unknown timeout, sent 1
stuck: read ok,ok; write unknown timeout, sent 1
cancel: cancelled
after: ok
refused: unreachable false
`;

function output(command: string, args: string[]): string {
  const ran = spawnSync(command, args, { cwd: root, encoding: 'utf8', timeout: 110_000 });
  return ran.status === 0 ? ran.stdout : `${ran.stdout}${ran.stderr}exit ${ran.status} ${ran.signal}`;
}

test('Bun gives each outcome of a bad connection its name, sends a write once, and ends', () => {
  expect(output(process.execPath, [program])).toBe(expected);
}, 120_000);

test('Deno gives each outcome of a bad connection its name, sends a write once, and ends', () => {
  const deno = join(root, 'node_modules/.bin/deno');
  expect(output(deno, ['run', '-A', '--node-modules-dir=manual', program])).toBe(expected);
}, 120_000);

test('Node gives each outcome of a bad connection its name, sends a write once, and ends', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'consul-portable-'));
  try {
    await Bun.build({
      entrypoints: [program],
      target: 'node',
      format: 'esm',
      outdir: dir,
      naming: 'portable.mjs',
    });
    expect(output('node', [join(dir, 'portable.mjs')])).toBe(expected);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}, 120_000);
