import { afterAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Admission } from '../../agent/api/types.ts';
import { folderConfig, makeConfig, requireNode } from '../../agent/config/index.ts';
import { AgentError } from '../../agent/errors.ts';
import {
  refuseMissingLocales,
  refuseOtherVersion,
  refuseUnfit,
  withData,
} from '../../agent/membership/preflight.ts';
import { fail, ok, warn } from '../../agent/platform/finding.ts';

const dir = mkdtempSync(join(tmpdir(), 'preflight-'));
afterAll(() => rmSync(dir, { recursive: true }));
writeFileSync(join(dir, 'postgres'), "#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n");
chmodSync(join(dir, 'postgres'), 0o755);
const config = requireNode(
  makeConfig(folderConfig(dir, { node_name: 'a', host_ip: '127.0.0.77' }, { postgres: { bin_dir: dir } })),
);

const admission = (postgresMajor?: number): Admission => ({
  ...{ clusterId: 'c', incarnation: 1, systemId: '7', secret: 's', consulServers: [], gossipKey: null },
  active: { node: 'b', hostIp: '127.0.0.78', postgresPort: 5432 },
  members: {},
  ...(postgresMajor === undefined ? {} : { postgresMajor }),
});

describe('before a start', () => {
  test('everything that is wrong is said at once, with its mend', () => {
    const findings = [
      ok('a', 'fine'),
      fail('b', 'one is wrong', 'mend one'),
      fail('c', 'two is', 'mend two'),
    ];
    let thrown: unknown;
    try {
      refuseUnfit([...findings, warn('d', 'to know', '')]);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AgentError);
    expect(thrown).toMatchObject({
      code: 'database_unfit',
      class: 'operator',
      message: expect.stringContaining('one is wrong; two is'),
      hint: expect.stringContaining('mend one; mend two'),
    });
  });

  test('what is to know stands in no way', () => {
    expect(refuseUnfit([ok('a', 'fine'), warn('d', 'to know', '')])).toEqual(['to know']);
  });
});

describe("who joins with programs of another version than the cluster's data", () => {
  test('is refused, with both versions', async () => {
    await expect(refuseOtherVersion(config, admission(15))).rejects.toMatchObject({
      code: 'postgres_version_differs',
      message: expect.stringMatching(/PostgreSQL 15, .* is of 14$/),
    });
  });

  test('is not, with the same, or where the active is of before and says nothing', async () => {
    expect(await refuseOtherVersion(config, admission(14))).toEqual(admission(14));
    expect(await refuseOtherVersion(config, admission())).toEqual(admission());
  });

  test('or on a machine without a locale that its databases are sorted by', async () => {
    const from = (locales: string[]) => ({ ...admission(14), locales });
    const pg = { missingLocales: async (all: readonly string[]) => all.filter((one) => one !== 'C.UTF-8') };
    await expect(refuseMissingLocales(pg, from(['C.UTF-8', 'de_DE.UTF-8']))).rejects.toMatchObject({
      ...{ class: 'operator', code: 'locales_missing' },
      message: expect.stringMatching(/this machine lacks: de_DE\.UTF-8$/),
    });
    expect(await refuseMissingLocales(pg, from(['C.UTF-8']))).toEqual(from(['C.UTF-8']));
    const silent = { missingLocales: () => Promise.reject(new Error('no answer')) };
    expect(await refuseMissingLocales(silent, from(['de_DE.UTF-8']))).toEqual(from(['de_DE.UTF-8']));
    expect(await refuseMissingLocales(silent, admission(14))).toEqual(admission(14));
  });

  test('the active says what its data is of, and nothing when it cannot tell', async () => {
    const pg = { inspect: async () => ({ empty: false, version: 15, systemId: '7' }) };
    expect(await withData(pg, { gossipKey: null })).toEqual({ gossipKey: null, postgresMajor: 15 });
    const sorted = { inspect: async () => ({ ...(await pg.inspect()), locales: ['de_DE.UTF-8'] }) };
    expect(await withData(sorted, {})).toEqual({ postgresMajor: 15, locales: ['de_DE.UTF-8'] });
    const silent = { inspect: () => Promise.reject(new Error('no answer')) };
    expect(await withData(silent, { gossipKey: null })).toEqual({ gossipKey: null });
  });
});
