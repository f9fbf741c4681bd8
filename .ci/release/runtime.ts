/**
 * The Bun that a build for another machine puts into the executable. It is fetched by npm, and used only if
 * its archive has the hash that package-lock.json pins: whoever can change what is downloaded would be root
 * on every manager.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lock, sha512Of } from './lock.ts';

export const RUNTIMES = {
  'linux-x64': '@oven/bun-linux-x64',
  'linux-arm64': '@oven/bun-linux-aarch64',
  'linux-x64-musl': '@oven/bun-linux-x64-musl',
} as const;
export type Target = keyof typeof RUNTIMES;

export interface RuntimeOptions {
  readonly target: Target;
  readonly lock: Lock;
  /** Of the Bun that builds: the executable's byte code is of that version. */
  readonly version: string;
  /** A folder with archives as `npm pack` names them. Left out: npm fetches. */
  readonly archives?: string | undefined;
}

export interface Runtime {
  readonly path: string;
  remove(): void;
}

function fetched(wanted: string, dir: string): Buffer {
  const packed = spawnSync('npm', ['pack', '--silent', '--pack-destination', dir, wanted], {
    encoding: 'utf8',
  });
  const [name] = readdirSync(dir).filter((file) => file.endsWith('.tgz'));
  if (packed.status !== 0 || name === undefined)
    throw new Error(`npm cannot fetch ${wanted}: ${packed.stderr}`);
  return readFileSync(join(dir, name));
}

/** In a folder of its own. Throws, and leaves nothing, when the version or the hash is another. */
export function runtimeFor({ target, lock, version, archives }: RuntimeOptions): Runtime {
  const name = RUNTIMES[target];
  const locked = lock.packages[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`package-lock.json lacks ${name}`);
  if (locked.version !== version)
    throw new Error(
      `package-lock.json pins ${name} ${locked.version}, and Bun ${version} builds: run 'npm ci'`,
    );
  const wanted = sha512Of(name, locked);
  const dir = mkdtempSync(join(tmpdir(), 'agent-runtime-'));
  try {
    const file = `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
    // Read once: what was hashed is what is unpacked.
    const archive =
      archives === undefined ? fetched(`${name}@${version}`, dir) : readFileSync(join(archives, file));
    const hash = createHash('sha512').update(archive).digest('hex');
    if (hash !== wanted)
      throw new Error(
        `the archive of ${name} ${version} is not the one that is pinned: SHA-512 ${hash}, pinned ${wanted}`,
      );
    const unpacked = spawnSync('tar', ['-xzO', 'package/bin/bun'], { input: archive, maxBuffer: 1024 ** 3 });
    if (unpacked.status !== 0) throw new Error(`the archive of ${name} has no bin/bun`);
    const path = join(dir, 'bun');
    writeFileSync(path, unpacked.stdout);
    chmodSync(path, 0o755);
    return { path, remove: () => rmSync(dir, { recursive: true, force: true }) };
  } catch (thrown) {
    rmSync(dir, { recursive: true, force: true });
    throw thrown;
  }
}
