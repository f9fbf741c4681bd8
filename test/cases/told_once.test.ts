/**
 * Input: a line in the manager's postgresql.conf that the server does not take: of a setting that stays, of
 *        one that the cluster sets itself, and beside a wrong postgres.parameters.
 * Right: `agent doctor` and what `agent cluster start` looks at before say each fault once, with file, line
 *        and the server's words.
 * Source: reports of one typing error that was listed as three different problems.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folderConfig, makeConfig } from '../../agent/config/index.ts';
import { settings } from '../../agent/doctor/settings.ts';
import type { Finding } from '../../agent/platform/finding.ts';
import { asServerUser, createGroup, type TestGroup, type TestServer } from '../fixtures/postgres.ts';

if (asServerUser(import.meta.path)) {
  describe("the manager's own settings", () => {
    let group: TestGroup;
    let s: TestServer;
    let conf = '';
    let own = '';

    beforeAll(async () => {
      group = createGroup('told-once');
      s = await group.server('s', { data: true });
      conf = join(s.options.dataDir, 'postgresql.conf');
      own = readFileSync(conf, 'utf8');
    });
    afterAll(() => group.end());

    const faults = async (parameters: Record<string, string> = {}) => {
      const base = folderConfig(join(group.dir, 'node'), { node_name: 's', host_ip: '127.0.0.59' });
      const { binDir: bin_dir, dataDir: data_dir } = s.options;
      const found = await settings(
        makeConfig({ ...base, postgres: { ...base.postgres, bin_dir, data_dir, parameters } }),
      );
      return unwell(found);
    };
    /** What start looks at before anything changes. */
    const before = async () => unwell(await s.pg.preflight());
    const unwell = (found: readonly Finding[]) =>
      found.filter(({ state }) => state !== 'ok').map(({ state, id, what }) => ({ state, id, what }));
    const fault = (says: string) => ({
      state: 'fail' as const,
      id: 'postgres_settings',
      what: expect.stringContaining(says),
    });
    const broken = (line: string) => {
      writeFileSync(conf, own);
      appendFileSync(conf, `${line}\n`);
    };

    test('that are right are said to be so, and nothing else', async () => {
      broken('');
      expect(await faults()).toEqual([]);
    });

    test('broken, are one fault to doctor and to start', async () => {
      broken('shared_buffers = lots');
      expect(await faults()).toEqual([fault(conf)]);
      expect(await faults()).toEqual([fault('invalid value for parameter "shared_buffers": "lots"')]);
      expect(await before()).toEqual([fault(conf)]);
      expect(await before()).toEqual([fault('invalid value for parameter "shared_buffers": "lots"')]);
    });

    test('broken where the cluster sets another value, too: they are read alone before that', async () => {
      broken('wal_level = much');
      expect(await faults()).toEqual([fault('"wal_level"')]);
      expect(await before()).toEqual([fault('"wal_level"')]);
    });

    test('and those of agent.yaml are faults of their own', async () => {
      broken('wal_level = much');
      const parameter = fault('postgres.parameters.work_mem');
      expect(await faults({ work_mem: 'all' })).toEqual([parameter, fault('"wal_level"')]);
      broken('');
      expect(await faults({ work_mem: 'all' })).toEqual([parameter]);
    });
  });
}
