/**
 * Paths with anything in them are refused, or reach every unit, sudo's rules and tmpfiles as the one path
 * that they are.
 */
import { afterAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type Config, type ConfigInput, checkConfig, merge } from '../../agent/config/index.ts';
import { renderSudoers, renderTmpfiles } from '../../agent/install/accounts.ts';
import { unitFiles } from '../../agent/install/plan.ts';
import { execLine, literal, pathWord } from '../../agent/install/units/text.ts';

const dir = mkdtempSync(join(tmpdir(), 'paths-'));
afterAll(() => rmSync(dir, { recursive: true }));
for (const name of ['consul', 'syncthing', 'pg/postgres']) {
  mkdirSync(dirname(join(dir, name)), { recursive: true });
  writeFileSync(join(dir, name), '#!/bin/sh\n', { mode: 0o755 });
}

/** Words as systemd takes a line apart (man systemd.syntax, QUOTING; systemd.unit, SPECIFIERS). */
function words(line: string): string[] {
  const found: string[] = [];
  for (const [, double, single, bare] of line.matchAll(
    /(?:^|\s)(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+))(?=\s|$)/g,
  ))
    found.push((double ?? single ?? bare ?? '').replace(/\\(.)/g, '$1').replaceAll('%%', '%'));
  return found;
}
const lines = (text: string, key: string): string[] =>
  [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);

test.each(['a b', 'it’s', "it's", 'say "x"', 'a\\b', '$HOME', '100%n', ';', '#', 'ü', 'a,b:c=d', ' ', ''])(
  '%j is one word',
  (text) => {
    expect(words(`x ${pathWord(text)} y`)).toEqual(['x', text, 'y']);
    expect(words(`x ${execLine([text])} y`)).toEqual(['x', text.replaceAll('$', '$$$$'), 'y']);
    expect(literal(text).replaceAll('%%', '%')).toBe(text);
  },
);

/** Where each path of the file comes to stand. */
const PLACES: Record<string, (path: string) => ConfigInput> = {
  executable: (path) => ({ paths: { executable: path } }),
  state_dir: (path) => ({ paths: { state_dir: path } }),
  run_dir: (path) => ({ paths: { run_dir: path } }),
  firewall_dir: (path) => ({ paths: { firewall_dir: path } }),
  data_dir: (path) => ({ postgres: { data_dir: path } }),
  socket_dir: (path) => ({ postgres: { socket_dir: path } }),
  consul: (path) => ({ consul: { data_dir: path } }),
  consul_config: (path) => ({ consul: { config_dir: path } }),
  home: (path) => ({ files: { home_dir: path } }),
  folder: (path) => ({ files: { folders: [{ id: 'a', path }] } }),
  lease_socket: (path) => ({ firewall: { lease_socket: `${path}/lease.sock` } }),
  watchdog: (path) => ({ watchdog_device: path }),
};

const BASE: ConfigInput = {
  consul: { binary: join(dir, 'consul') },
  postgres: { bin_dir: join(dir, 'pg') },
  files: { binary: join(dir, 'syncthing'), folders: [{ id: 'x', path: '/srv/x' }] },
};

function configured(input: ConfigInput): Config | undefined {
  const made = checkConfig(merge(BASE as Record<string, unknown>, input as Record<string, unknown>));
  if (made.ok) return made.config;
  for (const { message } of made.problems) expect(message).toMatch(/^must be /);
  return undefined;
}

/** Every word of every line that may hold a path, without what systemd or we put before it. */
function pathsIn(config: Config): Set<string> {
  const units = unitFiles(config)
    .map(({ content }) => content)
    .join('\n');
  const lists = [
    'ExecStart',
    'RequiresMountsFor',
    'ReadWritePaths',
    'BindPaths',
    'BindReadOnlyPaths',
    'Environment',
    'DeviceAllow',
  ];
  const plain = lines(units, 'WorkingDirectory').map((value) => value.replaceAll('%%', '%'));
  const tmp = renderTmpfiles(config).split('\n');
  const sudo = renderSudoers(config)
    .split('\n')
    .flatMap((line) => /NOPASSWD: ((?:\\.|[^,\s\\])+)$/.exec(line)?.[1] ?? []);
  return new Set(
    [
      ...lists.flatMap((key) => lines(units, key)).flatMap(words),
      ...tmp.flatMap(words),
      ...plain,
      ...sudo.map((path) => path.replace(/\\(.)/g, '$1').replace(/sudo_trampoline$/, 'agent')),
    ].map((word) =>
      word
        .replace(/^-(?=\/)/, '')
        .replace(/^(?:HOME|--home|-config-dir|config_file)=/, '')
        .replace(/\/postgres\/postgresql\.conf$|^-config-dir=/, ''),
    ),
  );
}

const ALPHABET = [...'ab /.-_@=+~,;#&()!?*[]{}<>|^\'"\\$%:`\n\t\u0007\u0085\u2028üß漢 '];

test('whatever the characters, a path is refused or stands whole where it belongs', () => {
  let seed = 7;
  const next = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const taken: Record<string, number> = {};
  let refused = 0;
  for (let round = 0; round < 1500; round++) {
    const text = Array.from({ length: 1 + next(4) }, () => ALPHABET[next(ALPHABET.length)]).join('');
    const path = `/x${text}y`;
    for (const name of [Object.keys(PLACES)[round % Object.keys(PLACES).length] ?? '']) {
      const config = configured(PLACES[name]?.(path) ?? {});
      if (config === undefined) {
        refused++;
        continue;
      }
      taken[name] = (taken[name] ?? 0) + 1;
      const found = pathsIn(config);
      const wanted = name === 'socket_dir' ? config.postgres.socket_dir : path;
      // The server is told of its socket by its own configuration, which test/cases/paths looks at.
      if (name !== 'socket_dir') expect([...found]).toContain(wanted);
    }
  }
  expect(refused).toBeGreaterThan(100);
  for (const name of Object.keys(PLACES)) expect(taken[name]).toBeGreaterThan(5);
}, 60_000);

test.each([
  '/a"b',
  '/a\\b',
  '/a$b',
  '/a%b',
  '/a:b',
  '/a`b',
  '/a\nb',
  '/a\tb',
  '/a\u0085b',
  '/a\u2028b',
  '/a ',
  '/a /',
])('%j is refused everywhere', (path) => {
  for (const [name, place] of Object.entries(PLACES))
    if (name !== 'lease_socket' || !/ \/?$/.test(path))
      expect([name, configured(place(path))]).toEqual([name, undefined]);
});

test('a socket has one folder: the server and its clients split at commas', () => {
  expect(configured({ postgres: { socket_dir: '/a,b' } })).toBeUndefined();
  expect(configured({ postgres: { data_dir: '/a,b' } })).toBeDefined();
});

const here = spawnSync('systemd-analyze', ['--version']).status === 0;
test.skipIf(!here)(
  'systemd itself takes units with blanks and quotes in every path',
  () => {
    const odd = "/srv/o'dd  path, (1); #2 & ü";
    const config = configured({
      paths: {
        executable: '/opt/a b,c/agent',
        state_dir: odd,
        run_dir: `${odd}/r`,
        firewall_dir: `${odd}/f`,
      },
      postgres: { data_dir: `${odd}/d`, socket_dir: '/run/a b' },
      consul: { data_dir: `${odd}/c`, config_dir: `${odd}/cc` },
      files: { home_dir: `${odd}/h`, folders: [{ id: 'a', path: `${odd}/x` }] },
      firewall: { lease_socket: `${odd}/l/s` },
      watchdog_device: '/dev/a b',
    });
    const files = unitFiles(config as Config).map(({ path, content }) => {
      const file = join(dir, basename(path));
      writeFileSync(file, content);
      return file;
    });
    expect(files.length).toBeGreaterThan(5);
    const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    const complaints = `${stdout}${stderr}`
      .split('\n')
      .filter(
        (line) => line.startsWith(dir) && /ignoring|invalid|failed to|unbalanced|not absolute/i.test(line),
      );
    expect(complaints).toEqual([]);
    // It does complain of what is not quoted.
    writeFileSync(join(dir, 'bad.service'), '[Service]\nExecStart=/bin/true\nEnvironment=HOME=/a b\n');
    expect(
      spawnSync('systemd-analyze', ['verify', '--man=no', join(dir, 'bad.service')], { encoding: 'utf8' })
        .stderr,
    ).toContain('ignoring');
  },
  120_000,
);
