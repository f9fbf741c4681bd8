/**
 * Makes the executable. `bun build.ts` writes dist/agent for this machine; `--target linux-arm64` (or
 * linux-x64, linux-x64-musl, all; repeatable) writes dist/agent-linux-arm64 and so on. `--outdir DIR` writes
 * elsewhere. Beside them: SHA256SUMS of what this run made, and what is in it, agent.cdx.json. `--sign KEY`
 * signs the sums; `--release` makes all targets of a clean commit, signed by a key of
 * .ci/release/allowed_signers (docs/releases.md). `--runtimes DIR` has the runtimes of other machines.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Lock } from './.ci/release/lock.ts';
import { RUNTIMES, type Runtime, runtimeFor, type Target } from './.ci/release/runtime.ts';
import { sbom } from './.ci/release/sbom.ts';
import { SBOM, signChecksums, verifyRelease, writeChecksums } from './.ci/release/sign.ts';
import manifest from './package.json' with { type: 'json' };

const targets = Object.keys(RUNTIMES) as Target[];

const root = import.meta.dirname;

function git(...args: string[]): string {
  const run = Bun.spawnSync(['git', '-C', root, ...args], { stderr: 'ignore' });
  return run.success ? run.stdout.toString().trim() : '';
}

/**
 * What the executable says of itself. The time is the commit's, not the clock's: equal sources, equal file.
 */
function identity(): Record<string, string> {
  const commit = git('rev-parse', '--short=12', 'HEAD');
  const dirty =
    commit !== '' && git('status', '--porcelain', '--', 'agent', 'cli', 'package-lock.json') !== '';
  const seconds = Number(process.env.SOURCE_DATE_EPOCH ?? git('log', '-1', '--format=%ct'));
  return {
    AGENT_VERSION: JSON.stringify(manifest.version),
    AGENT_COMMIT: JSON.stringify(commit === '' ? 'unknown' : dirty ? `${commit}-dirty` : commit),
    AGENT_BUILT: JSON.stringify(seconds > 0 ? new Date(seconds * 1000).toISOString() : ''),
  };
}

async function build(entry: string, outfile: string, target?: Target, runtime?: Runtime): Promise<void> {
  const started = performance.now();
  await Bun.build({
    entrypoints: [entry],
    target: 'bun',
    format: 'esm', // bytecode in the default format breaks on dependencies that use import.meta
    bytecode: true, // halves the start, which every sudo call and CLI command pays
    minify: { whitespace: true, syntax: true }, // identifiers stay: error classes and stack traces are read by people
    define: identity(),
    compile: {
      outfile,
      ...(target && runtime ? { target: `bun-${target}`, executablePath: runtime.path } : {}),
      // Runs as root under sudo: a bunfig.toml or .env in the caller's directory must not reach it.
      autoloadBunfig: false,
      autoloadDotenv: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
  const megabytes = (Bun.file(outfile).size / 1e6).toFixed(0);
  console.log(`${outfile}  ${megabytes} MB  ${(performance.now() - started).toFixed(0)} ms`);
}

function chosenTargets(asked: string[]): (Target | undefined)[] {
  if (asked.length === 0) return [undefined];
  if (asked.includes('all')) return [undefined, ...targets];
  return asked.map((name) => {
    const target = targets.find((known) => known === name);
    if (!target) throw new Error(`unknown target ${name}: one of ${targets.join(', ')}, all`);
    return target;
  });
}

/** The package of the Bun that runs here, which is built in where no target is named. */
function ownRuntime(): string {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  const musl = process.platform === 'linux' && report?.header?.glibcVersionRuntime === undefined;
  const arch = process.arch === 'arm64' ? 'aarch64' : process.arch;
  return `@oven/bun-${process.platform}-${arch}${musl ? '-musl' : ''}`;
}

function refuseUnlessClean(): void {
  if (git('rev-parse', 'HEAD') === '') throw new Error('--release is of a commit, and this folder has none');
  if (git('status', '--porcelain') !== '')
    throw new Error('--release is of a commit, and files differ from it: commit them first');
}

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true, default: [] },
    outdir: { type: 'string', default: join(root, 'dist') },
    entry: { type: 'string', default: join(root, 'cli', 'main.ts') },
    runtimes: { type: 'string' },
    sign: { type: 'string' },
    release: { type: 'boolean', default: false },
  },
});
const { outdir, entry, sign, release } = values;
if (release && sign === undefined) throw new Error('--release needs --sign KEY');
if (release) refuseUnlessClean();
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
const chosen = release ? targets : chosenTargets(values.target);
mkdirSync(outdir, { recursive: true });
for (const target of chosen) {
  if (target === undefined) {
    await build(entry, join(outdir, 'agent'));
    continue;
  }
  const runtime = runtimeFor({ target, lock, version: Bun.version, archives: values.runtimes });
  try {
    await build(entry, join(outdir, `agent-${target}`), target, runtime);
  } finally {
    runtime.remove();
  }
}
const runtimes = new Set(chosen.map((target) => (target === undefined ? ownRuntime() : RUNTIMES[target])));
const { name, version, license } = manifest;
const built = JSON.parse(identity().AGENT_BUILT ?? '""') as string;
writeFileSync(join(outdir, SBOM), sbom({ lock, name, version, license, runtimes: [...runtimes], built }));
const made = chosen.map((target) => (target ? `agent-${target}` : 'agent'));
writeChecksums(outdir, [...made, SBOM]);
if (sign !== undefined) signChecksums(outdir, sign);
if (release) verifyRelease(outdir, join(root, '.ci', 'release', 'allowed_signers'));
