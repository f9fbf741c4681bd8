/**
 * Input: `huge_pages = on` in the manager's postgresql.conf or in agent.yaml, on a machine with enough of
 *        them, and on one with fewer.
 * Right: with enough they are used, on the active and on a copy; with fewer nothing is changed, and it is
 *        said how many are needed.
 * Source: reports of a database that did not start any more on the machine that took over.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { refuseSettings } from '../../agent/membership/preflight.ts';
import { hugePagesFor } from '../../agent/roles/postgres/huge_pages.ts';
import {
  asServerUser,
  createGroup,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const SETTING = '/proc/sys/vm/nr_hugepages';
/** For two small servers. */
const PAGES = 160;
const setting = () => Number(readFileSync(SETTING, 'utf8'));

if (process.getuid?.() === 0) {
  // Whatever the machine has is left to others; what is added here is taken away again.
  const add = (pages: number) => {
    try {
      writeFileSync(SETTING, String(setting() + pages));
    } catch (error) {
      console.log(`vm.nr_hugepages cannot be set here: ${error}`);
    }
  };
  let added = 0;
  beforeAll(() => {
    const before = setting();
    add(PAGES);
    added = setting() - before;
  });
  afterAll(() => add(-Math.max(0, added)));
}

if (asServerUser(import.meta.path)) {
  describe('huge_pages = on', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;
    const enough = (hugePagesFor(2048, false) ?? 0) >= PAGES;
    const insisting = { huge_pages: 'on', shared_buffers: '64GB' };

    beforeAll(async () => {
      group = createGroup('huge');
      a = await group.server('a', { data: true });
      b = await group.server('b', { parameters: { huge_pages: 'on' } });
    });
    afterAll(() => group.end());

    test('with fewer is refused before anything changes, on a machine with data and on an empty one', async () => {
      const least =
        /needs (more than )?\d+ huge pages of 2048 kB, and this machine has \d+ available: set vm\.nr_hugepages/;
      const conf = join(a.options.dataDir, 'postgresql.conf');
      const own = readFileSync(conf, 'utf8');
      a.options.parameters = { max_connections: '40' };
      appendFileSync(conf, "huge_pages = on\nshared_buffers = '64GB'\n");
      expect(await a.pg.rehearse()).toEqual({
        ...{ kind: 'failed', refused: true, own: true },
        why: expect.stringMatching(new RegExp(`^${conf}: .*${least.source}`)),
      });
      writeFileSync(conf, own);

      const empty = await group.server('c', { parameters: insisting, parametersFile: 'agent.yaml' });
      await expect(refuseSettings(empty.pg)).rejects.toMatchObject({
        code: 'settings_refused',
        message: expect.stringMatching(/agent\.yaml: postgres\.parameters\.huge_pages: .*32768 huge pages/),
      });
      expect([existsSync(empty.options.dataDir), existsSync(empty.options.confDir)]).toEqual([false, false]);
    });

    test('that is not insisted on is no fault', async () => {
      a.options.parameters = { ...insisting, huge_pages: 'try' };
      expect(await a.pg.rehearse()).toEqual(done);
    });

    test.skipIf(!enough)(
      'with enough they are used, on the active and on a copy, and looking again finds no fault',
      async () => {
        a.options.parameters = {
          fsync: 'off',
          max_connections: '40',
          shared_buffers: '16MB',
          huge_pages: 'on',
        };
        expect(await a.pg.rehearse()).toEqual(done);
        expect(await a.pg.adopt()).toEqual(done);
        expect(await a.pg.startPrimary(30_000)).toEqual(done);
        expect(await a.pg.ensureReplicationRole(5000)).toEqual(done);
        await refuseSettings(b.pg);
        await joinStandby(a, b);
        for (const server of [a, b]) {
          expect(await server.pg.rehearse()).toEqual(done);
          const postmaster = readFileSync(join(server.options.dataDir, 'postmaster.pid'), 'utf8').split(
            '\n',
          )[0];
          expect(readFileSync(`/proc/${postmaster}/maps`, 'utf8')).toContain('/anon_hugepage');
        }
      },
    );

    test('pages in use count for the server that has them, and what the kernel may add', () => {
      const folder = mkdtempSync(join(tmpdir(), 'agent-pages-'));
      const put = (numbers: Record<string, number>) => {
        mkdirSync(join(folder, 'hugepages-2048kB'), { recursive: true });
        for (const [name, number] of Object.entries(numbers))
          writeFileSync(join(folder, 'hugepages-2048kB', name), `${number}\n`);
      };
      put({
        nr_hugepages: 50,
        free_hugepages: 30,
        resv_hugepages: 10,
        nr_overcommit_hugepages: 5,
        surplus_hugepages: 2,
      });
      expect([hugePagesFor(2048, false, folder), hugePagesFor(2048, true, folder)]).toEqual([23, 53]);
      expect(hugePagesFor(1_048_576, false, folder)).toBeNull();
      rmSync(folder, { recursive: true });
    });
  });
}
