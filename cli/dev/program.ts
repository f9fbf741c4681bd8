import { accessSync, chmodSync, constants, copyFileSync, cpSync, existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { AgentError } from '../../agent/errors.ts';
import { makeDir } from '../../agent/platform/files.ts';
import { run } from '../../agent/platform/process.ts';
import { asUser, type DevUser } from './user.ts';

export type Runtime = 'bun' | 'deno';

/** Modules inside a compiled executable live here. */
const isCompiled = (): boolean => (process.argv[1] ?? '').startsWith('/$bunfs/');

const isDeno = (): boolean => process.versions.deno !== undefined;

/** What `agent` consists of when it is run from its source. */
const SOURCE = ['agent', 'cli', 'package.json'];

/** The folder with the source: that of the running script, or the working directory. */
function sourceDir(): string {
  const own = isCompiled() ? undefined : resolve(dirname(process.argv[1] ?? '.'), '..');
  const found = [own, process.cwd()].find(
    (dir) => dir !== undefined && existsSync(join(dir, 'cli', 'main.ts')),
  );
  if (found !== undefined) return found;
  throw new AgentError({
    class: 'usage',
    code: 'no_source',
    message: "the agent's source is not here",
    hint: 'run this in a checkout of the repository, or leave out --from-source',
  });
}

async function readableBy(user: DevUser, path: string): Promise<boolean> {
  if (user.self) {
    try {
      accessSync(path, constants.R_OK);
      return true;
    } catch {
      return false;
    }
  }
  const [command, ...args] = asUser(user, ['test', '-r', path]);
  return (await run(command, args, { deadline: 5000, cwd: '/' })).code === 0;
}

/** A program that the user can run: itself, or a copy in the dev folder. */
async function usable(user: DevUser, path: string, dir: string, name: string): Promise<string> {
  if (await readableBy(user, path)) return path;
  const copy = join(dir, name);
  // A running executable cannot be written over, and need not be when it is the same one.
  const same =
    existsSync(copy) &&
    statSync(copy).size === statSync(path).size &&
    statSync(copy).mtimeMs >= statSync(path).mtimeMs;
  if (!same) copyFileSync(path, copy);
  chmodSync(copy, 0o755);
  return copy;
}

async function usableSource(user: DevUser, dir: string): Promise<string> {
  const source = sourceDir();
  if (await readableBy(user, join(source, 'cli', 'main.ts'))) return source;
  const copy = join(dir, 'source');
  makeDir(copy, 0o755);
  for (const part of [...SOURCE, 'node_modules']) {
    cpSync(join(source, part), join(copy, part), { recursive: true, verbatimSymlinks: true });
  }
  return copy;
}

function runtimeBinary(runtime: Runtime, source: string): string {
  const running = isCompiled() ? undefined : isDeno() ? 'deno' : process.versions.bun ? 'bun' : undefined;
  if (running === runtime) return process.execPath;
  const inside = runtime === 'deno' ? 'node_modules/deno/deno' : 'node_modules/bun/bin/bun.exe';
  const path = join(source, inside);
  if (existsSync(path)) return path;
  throw new AgentError({
    class: 'operator',
    code: 'no_runtime',
    message: `${runtime} is not installed in ${source}`,
    hint: 'run npm install there',
  });
}

/**
 * Program and leading arguments that stand for `agent` in this cluster, readable for its user: the running
 * executable, or the source under a runtime. `executable` names another build.
 */
export async function agentProgram(
  user: DevUser,
  dir: string,
  wanted: { runtime?: Runtime; executable?: string },
): Promise<string[]> {
  const { executable, runtime } = wanted;
  if (executable !== undefined) return [await usable(user, resolve(executable), dir, 'agent')];
  if (runtime === undefined && isCompiled()) return [await usable(user, process.execPath, dir, 'agent')];
  const chosen = runtime ?? (isDeno() ? 'deno' : 'bun');
  const original = sourceDir();
  const source = await usableSource(user, dir);
  const binary = await usable(user, runtimeBinary(chosen, original), dir, chosen);
  const main = join(source, 'cli', 'main.ts');
  if (chosen === 'bun') return [binary, main];
  return [binary, 'run', '-A', '--node-modules-dir=manual', main];
}
