/**
 * What a release is beside its executables: signed sums, a list of what is in them, and runtimes that are
 * pinned.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Lock } from '../../.ci/release/lock.ts';
import { runtimeFor } from '../../.ci/release/runtime.ts';
import { sbom } from '../../.ci/release/sbom.ts';
import { NAMESPACE, SIGNER, verifyRelease } from '../../.ci/release/sign.ts';
import manifest from '../../package.json' with { type: 'json' };
import { root } from './files.ts';

// Executables are copied and hashed, and a build compiles.
setDefaultTimeout(120_000);

let folder = '';
let out = '';
const at = (name: string) => join(folder, name);
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;

function run(argv: string[], cwd = folder, input?: string) {
  const [file = '', ...args] = argv;
  return spawnSync(file, args, { cwd, encoding: 'utf8', ...(input === undefined ? {} : { input }) });
}
const build = (...args: string[]) =>
  run([process.execPath, join(root, 'build.ts'), '--entry', at('probe.ts'), ...args], root);

function key(name: string): string {
  const made = run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', at(name)]);
  if (made.status !== 0) throw new Error(made.stderr);
  writeFileSync(
    at(`${name}.signers`),
    `${SIGNER} namespaces="${NAMESPACE}" ${readFileSync(at(`${name}.pub`), 'utf8')}`,
  );
  return at(name);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-release-'));
  out = at('out');
  writeFileSync(at('probe.ts'), 'console.log("probe");\n');
  key('ours');
  key('theirs');
  const built = build('--outdir', out, '--sign', at('ours'));
  if (built.status !== 0) throw new Error(built.stderr);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A copy of what was built, to do something to. */
function copy(): string {
  const dir = mkdtempSync(at('copy-'));
  cpSync(out, dir, { recursive: true });
  return dir;
}
const refused = (dir: string, signers = at('ours.signers')) => {
  try {
    verifyRelease(dir, signers);
    return 'accepted';
  } catch (thrown) {
    return (thrown as Error).message;
  }
};

describe('the signature', () => {
  test('of the right key over what was built is accepted, with the commands of docs/releases.md as well', () => {
    expect(refused(out)).toBe('accepted');
    const text = readFileSync(join(root, 'docs/releases.md'), 'utf8');
    const shown = /```sh verify\n([\s\S]*?)```/.exec(text)?.[1] ?? 'false';
    const dir = copy();
    cpSync(at('ours.signers'), join(dir, 'allowed_signers'));
    const said = run(['sh', '-e', '-c', shown], dir);
    expect([said.status, said.stdout]).toEqual([0, expect.stringContaining('agent: OK')]);
    appendFileSync(join(dir, 'agent'), 'x');
    expect(run(['sh', '-e', '-c', shown], dir).status).not.toBe(0);
  });

  test('is refused when a file, a list, the sums or the signature is another, and when one is missing', () => {
    for (const [name, why] of [
      ['agent', 'agent: FAILED'],
      ['agent.cdx.json', 'agent.cdx.json: FAILED'],
      ['SHA256SUMS', 'ssh-keygen verify'],
      ['SHA256SUMS.sig', 'ssh-keygen verify'],
    ] as const) {
      const dir = copy();
      const text = readFileSync(join(dir, name));
      const middle = Math.floor(text.length / 2);
      text[middle] = (text[middle] ?? 0) ^ 1;
      writeFileSync(join(dir, name), text);
      expect(refused(dir)).toContain(why);
      rmSync(join(dir, name));
      expect(refused(dir)).not.toBe('accepted');
      rmSync(dir, { recursive: true });
    }
  });

  test('of another key, of another purpose, and by nobody who is listed is refused', () => {
    expect(refused(out, at('theirs.signers'))).toContain('ssh-keygen verify');
    const dir = copy();
    rmSync(join(dir, 'SHA256SUMS.sig'));
    run(['ssh-keygen', '-Y', 'sign', '-q', '-f', at('ours'), '-n', 'file', 'SHA256SUMS'], dir);
    expect(existsSync(join(dir, 'SHA256SUMS.sig'))).toBe(true);
    expect(refused(dir)).toContain('ssh-keygen verify');
    writeFileSync(at('none.signers'), '# nobody yet\n');
    expect(refused(out, at('none.signers'))).toContain('ssh-keygen verify');
  });
});

describe('the list of what is in an executable', () => {
  type Component = {
    name: string;
    group?: string;
    version: string;
    purl: string;
    type: string;
    hashes: { alg: string; content: string }[];
    licenses: unknown[];
  };
  const nameOf = ({ group, name }: Component) => (group === undefined ? name : `${group}/${name}`);
  const read = () =>
    JSON.parse(readFileSync(join(out, 'agent.cdx.json'), 'utf8')) as {
      bomFormat: string;
      specVersion: string;
      serialNumber: string;
      components: Component[];
      dependencies: { ref: string; dependsOn: string[] }[];
    };

  test('has each production dependency that npm knows of, with its version, hash and licence, and no tool', () => {
    const list = read();
    expect([list.bomFormat, list.specVersion]).toEqual(['CycloneDX', '1.5']);
    expect(list.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    type Tree = { version?: string; dependencies?: Record<string, Tree> };
    const npm = run(['npm', 'ls', '--all', '--omit=dev', '--json', '--package-lock-only'], root);
    const known = new Set<string>();
    const walk = (tree: Tree) => {
      for (const [name, child] of Object.entries(tree.dependencies ?? {})) {
        if (child.version !== undefined) known.add(`${name}@${child.version}`);
        walk(child);
      }
    };
    walk(JSON.parse(npm.stdout) as Tree);
    // An optional peer of a library, for its types: a tool, and of no executable.
    const tools = [...known].filter((name) => /^(@typescript\/)?typescript/.test(name));
    for (const tool of tools) known.delete(tool);
    expect(known.size).toBeGreaterThan(Object.keys(manifest.dependencies).length);
    const libraries = list.components.filter(({ type }) => type === 'library');
    expect(libraries.map((one) => `${nameOf(one)}@${one.version}`).sort()).toEqual([...known].sort());
    for (const one of list.components) {
      const [path] = Object.entries(lock.packages).find(
        ([where, { version }]) => where.endsWith(`node_modules/${nameOf(one)}`) && version === one.version,
      ) ?? [''];
      const pinned = lock.packages[path];
      expect(one.hashes).toEqual([
        {
          alg: 'SHA-512',
          content: Buffer.from(pinned?.integrity?.replace('sha512-', '') ?? '', 'base64').toString('hex'),
        },
      ]);
      expect(one.licenses).toEqual([{ license: { id: pinned?.license } }]);
    }
  });

  test('has the runtime, and who needs what; every name in it is in the list', () => {
    const { components, dependencies } = read();
    const platforms = components.filter(({ type }) => type === 'platform');
    expect(platforms.map(({ version }) => version)).toEqual([Bun.version]);
    const refs = new Set(dependencies.map(({ ref }) => ref));
    for (const { purl } of components) expect(refs.has(purl)).toBe(true);
    for (const { dependsOn } of dependencies) for (const ref of dependsOn) expect(refs.has(ref)).toBe(true);
    const own = dependencies.find(({ ref }) => ref === `pkg:npm/agent@${manifest.version}`);
    expect(own?.dependsOn).toContain(`pkg:npm/hono@${manifest.dependencies.hono}`);
    expect(own?.dependsOn).toContain(platforms[0]?.purl ?? 'none');
  });

  test('is not made of a package without a licence or a hash', () => {
    const of = (locked: object) => () =>
      sbom({
        lock: {
          packages: {
            '': { version: '1', dependencies: { a: '1' } },
            'node_modules/a': { version: '1', ...locked },
          },
        },
        name: 'x',
        version: '1',
        license: 'MIT',
        runtimes: [],
        built: '',
      });
    expect(of({ license: 'MIT' })).toThrow('no SHA-512 of a');
    expect(of({ integrity: `sha512-${'A'.repeat(86)}==` })).toThrow('no licence of a');
    expect(of({ license: 'MIT', integrity: 'sha1-AAAA' })).toThrow('no SHA-512 of a');
  });
});

describe('the runtime of another machine', () => {
  const NAME = 'oven-bun-linux-aarch64';

  /** An archive as npm packs them, and the lock that pins it. */
  function archive(dir: string, content: string, version = Bun.version) {
    mkdirSync(join(dir, 'package/bin'), { recursive: true });
    writeFileSync(join(dir, 'package/bin/bun'), content);
    const file = join(dir, `${NAME}-${version}.tgz`);
    const made = run(['tar', '-czf', file, 'package'], dir);
    if (made.status !== 0) throw new Error(made.stderr);
    const integrity = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    return {
      packages: { 'node_modules/@oven/bun-linux-aarch64': { version, integrity, license: 'MIT' } },
    } as Lock;
  }

  test('with a hash that is not the pinned one fails the build, and nothing is written', () => {
    const archives = mkdtempSync(at('archives-'));
    archive(archives, 'not a runtime\n');
    const dir = at('cross');
    const failed = build(
      '--outdir',
      dir,
      '--target',
      'linux-arm64',
      '--runtimes',
      archives,
      '--sign',
      at('ours'),
    );
    expect(failed.status).not.toBe(0);
    expect(failed.stderr).toContain('is not the one that is pinned');
    expect(readdirSync(dir)).toEqual([]);
  }, 60_000);

  test('is unpacked when the hash fits, and refused for one bit, another version, or where none is pinned', () => {
    const archives = mkdtempSync(at('archives-'));
    const pinned = archive(archives, 'a runtime\n');
    const options = { target: 'linux-arm64', lock: pinned, version: Bun.version, archives } as const;
    const runtime = runtimeFor(options);
    expect(readFileSync(runtime.path, 'utf8')).toBe('a runtime\n');
    runtime.remove();
    expect(existsSync(runtime.path)).toBe(false);
    expect(() => runtimeFor({ ...options, version: '0.0.1' })).toThrow("run 'npm ci'");
    expect(() => runtimeFor({ ...options, target: 'linux-x64' })).toThrow('lacks @oven/bun-linux-x64');
    const file = join(archives, `${NAME}-${Bun.version}.tgz`);
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    expect(() => runtimeFor(options)).toThrow('is not the one that is pinned');
  });

  test('that this project pins is pinned for each target, at the version that builds', () => {
    for (const name of ['linux-x64', 'linux-aarch64', 'linux-x64-musl'])
      expect(lock.packages[`node_modules/@oven/bun-${name}`]).toMatchObject({
        version: Bun.version,
        integrity: expect.stringMatching(/^sha512-/),
      });
  });
});

test('a release is of a commit, whole and signed', () => {
  expect(build('--release').stderr).toContain('--release needs --sign KEY');
  const dir = at('sources');
  for (const name of ['build.ts', '.ci', 'package.json', 'package-lock.json', 'tsconfig.json'])
    cpSync(join(root, name), join(dir, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  const release = () => run([process.execPath, 'build.ts', '--release', '--sign', at('ours')], dir);
  expect(release().stderr).toContain('this folder has none');
  const git = (...args: string[]) => run(['git', '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], dir);
  git('init', '-q');
  git('add', 'build.ts');
  expect(git('commit', '-q', '-m', 'one file').status).toBe(0);
  expect(release().stderr).toContain('files differ from it');
}, 60_000);
