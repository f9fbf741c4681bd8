/**
 * What agent.yaml takes, something goes by: each key of its own value is read outside agent/config. Found out
 * by the compiler: with the keys taken out of the type of the configuration, whatever reads one no longer
 * compiles, and its message names key and section.
 */
import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leaves } from '../../agent/config/leaves.ts';
import { code, root, text } from './files.ts';

/**
 * Read by way of a function of agent/config, which is called outside it: the key's name stands in the
 * function's file.
 */
const THROUGH: readonly (readonly [keys: RegExp, name: string, file: string])[] = [
  [/^lease\.(?:retry_period|renew_deadline|lease_duration|fencing_time)$/, 'effectiveLease', 'lease'],
  // Which times it stands for: the schema itself lays them below the others.
  [/^lease\.preset$/, 'effectiveLease', 'lease'],
  [/^checks\.(?:rise|fall|each\..*)$/, 'effectiveChecks', 'checks'],
  [/^api\.listen$/, 'apiListen', 'effective'],
  [/^consul\.bind$/, 'consulBind', 'effective'],
  [/^consul\.peers$/, 'consulUrls', 'effective'],
  [/^postgres\.listen$/, 'postgresListen', 'effective'],
];

/** Handed on as a section, to who has a type of its own for it: the file, and what stands there. */
const HANDED_ON: readonly (readonly [keys: RegExp, file: string, reads: (key: string) => RegExp])[] = [
  [/^manager\.\w+$/, 'agent/http/cfy.ts', (key) => new RegExp(`\\{[^}]*\\b${key}\\b[^}]*\\} = manager`)],
  [/^api\.(?:users|tokens)\.\w+$/, 'agent/http/credentials.ts', (key) => new RegExp(`\\b${key}\\b`)],
  [/^(?:consul|files)\.binary$/, 'agent/platform/paths.ts', () => /which\((?:consul|files)\.binary/],
  [/^postgres\.bin_dir$/, 'agent/platform/paths.ts', () => /config\.postgres\.bin_dir/],
  [
    /^services\.(?:command|cwd|env|start_timeout)$/,
    'agent/roles/services/runner.ts',
    (key) => new RegExp(`service\\.${key}\\b`),
  ],
  [/^services\.display_name$/, 'agent/daemon/status.ts', () => /service\.display_name/],
];

/** Read by nobody, with what the file's reader is told. */
const REFUSED: readonly string[] = [
  // Anything but false is refused (cross.ts).
  'allow_minority_mode',
];

const MARKED = `
type Leaf<T> = [NonNullable<T>] extends [string | number | boolean] ? true
  : [NonNullable<T>] extends [readonly (string | number | boolean)[]] ? true
  : [NonNullable<T>] extends [Record<string, string>] ? (string extends keyof NonNullable<T> ? true : false) : false;
type Mark<T, P extends string> = [NonNullable<T>] extends [readonly (infer U)[]] ? readonly Mark<U, P>[]
  : { [K in keyof T as Leaf<T[K]> extends true ? never : K]: K extends string ? Mark<T[K], \`\${P}.\${K}\`> : never }
    & { __in: \`<\${P}>\` };
export type Config = Mark<PlainConfig, ''>;
export type NodeConfig = Config & { __node: 1 };
`;

/** The compiler's complaints about agent/ and cli/, with the keys taken away. */
function complaints(): string {
  const dir = mkdtempSync(join(tmpdir(), 'leaves-'));
  try {
    for (const name of ['agent', 'cli', 'package.json', 'tsconfig.json'])
      cpSync(join(root, name), join(dir, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
    const resolve = text('agent/config/resolve.ts')
      .replace('export interface Config extends', 'interface PlainConfig extends')
      .replace(/export interface NodeConfig extends Config \{[^}]*\}/, '');
    expect(resolve).not.toContain('export interface NodeConfig');
    writeFileSync(join(dir, 'agent/config/resolve.ts'), `${resolve}${MARKED}`);
    const options = {
      extends: './tsconfig.json',
      compilerOptions: { noErrorTruncation: true },
      include: ['agent', 'cli'],
    };
    writeFileSync(join(dir, 'tsconfig.marked.json'), JSON.stringify(options));
    const tsc = join(root, 'node_modules/.bin/tsc');
    return spawnSync(tsc, ['-p', 'tsconfig.marked.json'], { cwd: dir, encoding: 'utf8', maxBuffer: 64 << 20 })
      .stdout;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const COMPLAINT =
  /^(?:agent\/(?!config\/)|cli\/)[^(]*\(\d+,\d+\): error TS2339: Property '(\w+)' does not exist on type '(.*)'\.$/;

function missed(output: string): Set<string> {
  const found = new Set<string>();
  for (const line of output.split('\n')) {
    const [, name = '', type = ''] = COMPLAINT.exec(line) ?? [];
    const section = /^(?:Node)?Config$/.test(type) ? '' : /__in: "<([^>]*)>"; \}$/.exec(type)?.[1];
    if (section !== undefined) found.add(`${section}.${name}`.replace(/^\./, ''));
  }
  return found;
}

test('every key of agent.yaml is read by something', () => {
  const read = missed(complaints());
  // As many as there are, or the compiler said something else.
  expect(read.size).toBeGreaterThan(60);
  const outside = ['agent', 'cli']
    .map(
      (folder) =>
        spawnSync(
          'grep',
          ['-rhow', '--exclude-dir=config', '-e', THROUGH.map(([, name]) => name).join('\\|'), folder],
          { cwd: root, encoding: 'utf8' },
        ).stdout,
    )
    .join('\n');
  const unread = leaves()
    .map(({ path }) => path.filter((name) => name !== '*').join('.'))
    .filter((path) => {
      const key = path.slice(path.lastIndexOf('.') + 1);
      if (read.has(path) || REFUSED.includes(path)) return false;
      const through = THROUGH.find(([keys]) => keys.test(path));
      if (through !== undefined) {
        const [, name, file] = through;
        return (
          !outside.split('\n').includes(name) ||
          !new RegExp(`\\b${key}\\b`).test(code(`agent/config/${file}.ts`))
        );
      }
      const handed = HANDED_ON.find(([keys]) => keys.test(path));
      return handed === undefined || !handed[2](key).test(code(handed[1]));
    });
  expect(unread).toEqual([]);
}, 300_000);
