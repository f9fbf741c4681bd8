import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import manifest from '../../package.json' with { type: 'json' };
import { root } from './files.ts';

// A probe stands for cli/main.ts: what is tested is how build.ts builds, whatever it builds.
const probe = `
import process from 'node:process';
import { commit, version } from '${root}/agent/version.ts';
class LeaseLost extends Error {}
console.log(JSON.stringify({
  version, commit,
  preloaded: globalThis.preloaded === true,
  dotenv: process.env.FROM_DOTENV ?? null,
  className: new LeaseLost().constructor.name,
}));`;

let folder = '';
let hostile = '';

function run(argv: string[], cwd: string) {
  const [file = '', ...args] = argv;
  return spawnSync(file, args, { cwd, encoding: 'utf8' });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-build-'));
  writeFileSync(join(folder, 'probe.ts'), probe);
  hostile = join(folder, 'hostile');
  mkdirSync(hostile);
  writeFileSync(join(hostile, 'bunfig.toml'), 'preload = ["./preload.ts"]\n');
  writeFileSync(join(hostile, 'preload.ts'), 'globalThis.preloaded = true;\n');
  writeFileSync(join(hostile, '.env'), 'FROM_DOTENV=read\n');
  const options = ['--entry', join(folder, 'probe.ts'), '--outdir', folder];
  const built = run([process.execPath, join(root, 'build.ts'), ...options], root);
  if (built.status !== 0) throw new Error(built.stderr);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the trap is real: plain bun in that folder does run the preload and read .env', () => {
  const out = JSON.parse(run([process.execPath, join(folder, 'probe.ts')], hostile).stdout);
  expect(out).toMatchObject({ preloaded: true, dotenv: 'read', commit: 'source' });
});

test('the executable reads neither bunfig.toml nor .env of the folder it is called in', () => {
  const out = JSON.parse(run([join(folder, 'agent')], hostile).stdout);
  expect(out).toMatchObject({ preloaded: false, dotenv: null });
});

test('the executable knows its version and commit, and classes keep their names though minified', () => {
  const out = JSON.parse(run([join(folder, 'agent')], folder).stdout);
  expect(out).toMatchObject({ version: manifest.version, className: 'LeaseLost' });
  expect(out.commit).toMatch(/^([0-9a-f]{12}(-dirty)?|unknown)$/);
});

test('SHA256SUMS is right for the files beside it', () => {
  const check = run(['sha256sum', '-c', 'SHA256SUMS'], folder);
  expect(check.stdout).toBe('agent: OK\nagent.cdx.json: OK\n');
});
