/** The units as they are rendered, judged by systemd itself where it can: the lab looks at those that run. */
import { afterAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { makeConfig } from '../../agent/config.ts';
import { UNITS } from '../../agent/install/names.ts';
import { unitFiles } from '../../agent/install/plan.ts';
import { HIGHEST_WITH_SUDO, parseExposure, tooOpen } from '../lab/exposure.ts';

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
const OFFLINE = 0.2;

test.skipIf(!here)('no unit is more open than documented', () => {
  mkdirSync(join(dir, 'pg'));
  for (const name of ['consul', 'syncthing', 'pg/postgres'])
    writeFileSync(join(dir, name), '#!/bin/sh\n', { mode: 0o755 });
  const config = makeConfig({
    consul: { binary: join(dir, 'consul') },
    postgres: { bin_dir: join(dir, 'pg'), data_dir: '/data' },
    files: { binary: join(dir, 'syncthing'), folders: [{ id: 'a', path: '/srv/a' }] },
  });
  const seen = unitFiles(config).flatMap(({ path, content }) => {
    const file = join(dir, basename(path));
    writeFileSync(file, content);
    const { stdout, stderr } = judge(file);
    const found = parseExposure(stdout);
    if (found.length !== 1) throw new Error(`${path}: ${stdout}${stderr}`);
    return found;
  });
  expect(seen.map(([unit]) => unit).sort()).toEqual(Object.values(UNITS).sort());
  expect(tooOpen(seen.map(([unit, number]) => [unit, number - OFFLINE] as const))).toEqual([]);
});

test('a unit that is more open is named, and those that call sudo have their own limit', () => {
  const line = (unit: string, number: string) => `→ Overall exposure level for ${unit}: ${number} OK :-)\n`;
  const text =
    line('cloudify-consul.service', '5.1') + line('cloudify-agent.service', '7.2') + line('x.service', '3');
  expect(tooOpen(parseExposure(text))).toEqual(['cloudify-consul.service 5.1']);
  expect(Object.keys(HIGHEST_WITH_SUDO).sort()).toEqual([UNITS.agent, UNITS.postgresHelper].sort());
});
