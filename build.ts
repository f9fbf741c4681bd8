/**
 * Makes the executable. `bun build.ts` writes dist/agent for this machine; `--target linux-arm64` (or
 * linux-x64, linux-x64-musl, all; repeatable) writes dist/agent-linux-arm64 and so on. `--outdir DIR` writes elsewhere.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import manifest from './package.json' with { type: 'json' };

const targets = ['linux-x64', 'linux-arm64', 'linux-x64-musl'] as const;
type Target = (typeof targets)[number];

const root = import.meta.dirname;

function git(...args: string[]): string {
  const run = Bun.spawnSync(['git', '-C', root, ...args], { stderr: 'ignore' });
  return run.success ? run.stdout.toString().trim() : '';
}

/** What the executable says of itself. The time is the commit's, not the clock's: equal sources, equal file. */
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

async function build(entry: string, outfile: string, target: Target | undefined): Promise<void> {
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
      ...(target ? { target: `bun-${target}` } : {}),
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

/** SHA256SUMS over everything built into the directory, in the form `sha256sum -c` reads. */
function writeChecksums(outdir: string): void {
  const files = readdirSync(outdir).filter((name) => /^agent(-linux-[a-z0-9-]+)?$/.test(name));
  const lines = files.sort().map((name) => {
    const sum = createHash('sha256').update(readFileSync(join(outdir, name)));
    return `${sum.digest('hex')}  ${name}\n`;
  });
  writeFileSync(join(outdir, 'SHA256SUMS'), lines.join(''));
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

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true, default: [] },
    outdir: { type: 'string', default: join(root, 'dist') },
    entry: { type: 'string', default: join(root, 'cli', 'main.ts') },
  },
});
mkdirSync(values.outdir, { recursive: true });
for (const target of chosenTargets(values.target)) {
  await build(values.entry, join(values.outdir, target ? `agent-${target}` : 'agent'), target);
}
writeChecksums(values.outdir);
