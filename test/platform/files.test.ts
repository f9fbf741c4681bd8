import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import * as v from 'valibot';
import {
  makeDir,
  openToAppend,
  readJson,
  removeDurably,
  writeDurably,
  writeJson,
} from '../../agent/platform/files.ts';
import { acquireLock, lockHolder } from '../../agent/platform/lockfile.ts';
import { postgresBinDir, which } from '../../agent/platform/paths.ts';
import { bootId } from '../../agent/platform/procfs.ts';

const root = mkdtempSync(join(tmpdir(), 'files-'));
afterAll(() => rmSync(root, { recursive: true }));
let dir = root;
let count = 0;
beforeEach(() => {
  dir = join(root, String(count++));
  mkdirSync(dir);
});

test.each([0o077, 0o000, 0o027])(
  'under umask %o modes are those asked for, and what is there keeps its own',
  (umask) => {
    const before = process.umask(umask);
    try {
      makeDir(join(dir, 'a', 'b'), 0o755);
      makeDir(join(dir, 'a', 'b'), 0o700);
      mkdirSync(join(dir, 'shared'));
      chmodSync(join(dir, 'shared'), 0o2770);
      makeDir(join(dir, 'shared', 'in'));
      writeDurably(join(dir, 'file'), 'x', 0o644);
      closeSync(openToAppend(join(dir, 'log'), 0o640));
      chmodSync(join(dir, 'log'), 0o600);
      closeSync(openToAppend(join(dir, 'log'), 0o640));
    } finally {
      process.umask(before);
    }
    const modes = ['a', 'a/b', 'shared/in', 'file', 'log'].map(
      (name) => statSync(join(dir, name)).mode & 0o7777,
    );
    expect(modes).toEqual([0o755, 0o755, 0o2750, 0o644, 0o600]);
  },
);

describe('a durable file', () => {
  const schema = v.object({ vote: v.number() });

  test('is read as it was written, with its mode, and leaves no draft', () => {
    const path = join(dir, 'vote.json');
    writeJson(path, { vote: 1 }, 0o600);
    writeJson(path, { vote: 2 }, 0o600);
    expect(readJson(path, schema)).toEqual({ vote: 2 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual(['vote.json']);
  });

  test('that is absent is undefined, one that is damaged an error: unknown is not absent', () => {
    const path = join(dir, 'vote.json');
    expect(readJson(path, schema)).toBeUndefined();
    for (const content of ['{"vote": ', '{"vote": "x"}']) {
      writeFileSync(path, content);
      expect(() => readJson(path, schema)).toThrow(expect.objectContaining({ code: 'file_damaged' }));
    }
  });

  test('that cannot be written keeps the old content and says so', () => {
    const path = join(dir, 'sub');
    mkdirSync(join(path, 'full'), { recursive: true });
    expect(() => writeDurably(path, 'x')).toThrow(expect.objectContaining({ code: 'file_not_written' }));
    expect(readdirSync(dir)).toEqual(['sub']);
    expect(() => writeDurably(join(dir, 'no', 'file'), 'x')).toThrow('cannot write');
  });

  test('is removed, and once only', () => {
    const path = join(dir, 'x');
    writeDurably(path, 'x');
    removeDurably(path);
    removeDurably(path);
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe('the lock', () => {
  const contender = join(import.meta.dir, 'lock.contender.ts');
  const stale = (number: number, owner: unknown) =>
    writeFileSync(join(dir, `l.${number}`), JSON.stringify(owner));

  test('is held by one, until it is given up', () => {
    const lock = acquireLock(dir, 'l');
    expect(lockHolder(dir, 'l')).toBe(process.pid);
    expect(() => acquireLock(dir, 'l')).toThrow(
      expect.objectContaining({ code: 'already_running', class: 'operator' }),
    );
    lock.release();
    lock.release();
    expect(lockHolder(dir, 'l')).toBeUndefined();
    acquireLock(dir, 'l').release();
    expect(readdirSync(dir)).toEqual([]);
  });

  test.each([
    ['died', { pid: 4_000_000, start_time: 1, boot_id: bootId() }],
    ['died and whose pid was used again', { pid: process.pid, start_time: 1, boot_id: bootId() }],
    ['ran before the reboot', { pid: 1, start_time: 0, boot_id: 'other' }],
    ['left half a file', 'rubbish'],
  ])('is taken over from one who %s', (_name, owner) => {
    stale(7, owner);
    const lock = acquireLock(dir, 'l');
    expect(readdirSync(dir)).toEqual(['l.8']);
    lock.release();
  });

  test('goes to exactly one of many who want it at once, under Bun and Deno', () => {
    const deno = join(import.meta.dir, '../../node_modules/.bin/deno');
    const runs = [
      `${process.execPath} ${contender} ${dir}`,
      `${deno} run -A --node-modules-dir=manual ${contender} ${dir}`,
    ];
    for (let round = 0; round < 3; round++) {
      stale(round * 10 + 1, { pid: 4_000_000, start_time: 1, boot_id: bootId() });
      const all = [...Array(6).keys()].map((n) => `${runs[n % 2]} &`).join('\n');
      const { stdout } = spawnSync('sh', ['-c', `${all}\nwait`], { encoding: 'utf8', timeout: 30_000 });
      expect(stdout.trim().split('\n').sort()).toEqual(['got', ...Array(5).fill('refused')]);
    }
    expect(lockHolder(dir, 'l')).toBeUndefined();
  }, 60_000);
});

describe("PostgreSQL's programs", () => {
  test('are those of the configured folder, else those that fit the data directory', () => {
    expect(postgresBinDir({ postgres: { bin_dir: '/x', data_dir: dir } })).toBe('/x');
    const found = postgresBinDir({ postgres: { data_dir: dir } });
    expect(found && readFileSync(join(found, 'postgres')).length).toBeGreaterThan(0);
  });
});

test('programs are found in PATH only when they can be run', () => {
  expect(which('sh')).toMatch(/\/sh$/);
  expect(which('no-such-program')).toBeUndefined();
  expect(which('/etc/passwd')).toBeUndefined();
});
