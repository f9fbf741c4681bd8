/** The units as they are rendered, judged by systemd itself where it can: the lab looks at those that run. */
import { afterAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { makeConfig } from '../../agent/config/index.ts';
import { ROOT_CALL_SERVICES } from '../../agent/install/names.ts';
import { unitFiles } from '../../agent/install/plan.ts';
import { UNITS } from '../../agent/trampoline/names.ts';
import { documented, parseExposure, tooOpen } from '../lab/exposure.ts';

const dir = mkdtempSync(join(tmpdir(), 'exposure-'));
afterAll(() => rmSync(dir, { recursive: true }));
const judge = (path: string) =>
  spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', path], {
    encoding: 'utf8',
    timeout: 60_000,
  });
const here = /offline/.test(spawnSync('systemd-analyze', ['--help'], { encoding: 'utf8' }).stdout ?? '');
if (!here) console.log('!!! no systemd-analyze that reads files: the lab alone looks at the units');

/** What a running unit gets by itself counts for a file too. */
const OFFLINE = 0.4;

test.skipIf(!here)('no unit is more open than documented', () => {
  mkdirSync(join(dir, 'pg'));
  for (const name of ['consul', 'syncthing', 'pg/postgres'])
    writeFileSync(join(dir, name), '#!/bin/sh\n', { mode: 0o755 });
  const config = makeConfig({
    consul: { binary: join(dir, 'consul') },
    postgres: { bin_dir: join(dir, 'pg'), data_dir: '/data' },
    files: { binary: join(dir, 'syncthing'), folders: [{ id: 'a', path: '/srv/a' }] },
  });
  const services = unitFiles(config).filter(({ path }) => path.endsWith('.service'));
  const seen = services.flatMap(({ path, content }) => {
    const file = join(dir, basename(path));
    writeFileSync(file, content);
    const { stdout, stderr } = judge(file);
    const found = parseExposure(stdout);
    if (found.length !== 1) throw new Error(`${path}: ${stdout}${stderr}`);
    return found;
  });
  expect(seen.map(([unit]) => unit).sort()).toEqual([...Object.values(UNITS), ...ROOT_CALL_SERVICES].sort());
  expect(
    tooOpen(seen.map(([unit, number]) => [unit, Math.round((number - OFFLINE) * 10) / 10] as const)),
  ).toEqual([]);
});

test('every unit’s number is documented, and below 5', () => {
  const numbers = documented();
  expect([...numbers.keys()].sort()).toEqual([...Object.values(UNITS), ...ROOT_CALL_SERVICES].sort());
  expect([...numbers].filter(([, number]) => number >= 5)).toEqual([]);
});

test('a unit that is more open, or not documented, is named, a template by its own name', () => {
  const line = (unit: string, number: string) => `→ Overall exposure level for ${unit}: ${number} OK :-)\n`;
  const text =
    line('cloudify-consul.service', '5.1') +
    line('cloudify-root-agent@test-instance.service', '5') +
    line('cloudify-lease.service', '3.0') +
    line('x.service', '3');
  expect(tooOpen(parseExposure(text))).toEqual([
    'cloudify-consul.service 5.1',
    'cloudify-root-agent@.service 5',
    'x.service 3',
  ]);
});
