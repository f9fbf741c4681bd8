/**
 * Input: `archive_mode=on` and an `archive_command` that hangs, that hears no signal, or that fails; a clean
 *        stop, as in a switchover.
 * Right: it ends once the shutdown checkpoint is on disk and at the standbys; what was not archived is, by
 *        the archiver of the next start.
 * Source: reports of switchovers that take as long as the archive is away.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, processesIn } from '../../agent/platform/procfs.ts';
import { childrenOf, postmasterPid, processTitle } from '../../agent/roles/postgres/process.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

if (asServerUser(import.meta.path)) {
  const done = { kind: 'done' } as const;
  /** Longer than any of these tests may take. */
  const NEVER = 3600;
  let group: TestGroup;
  let p: TestServer;
  let s: TestServer;

  const script = () => join(group.dir, 'archive.sh');
  const archiveWith = (lines: string) => writeFileSync(script(), `${lines}\n`);
  const marks = (ending: string) =>
    readdirSync(join(p.options.dataDir, 'pg_wal', 'archive_status'))
      .filter((name) => name.endsWith(ending))
      .map((name) => name.slice(0, -ending.length))
      .sort();
  const archived = () => readdirSync(join(group.dir, 'archive'));
  /** Processes that the archiver's command started: they work in the data directory, as the archiver does. */
  const commands = () =>
    processesIn(p.options.dataDir).flatMap(({ pid, command }) => (command === 'sleep' ? [pid] : []));

  beforeAll(async () => {
    group = createGroup('archiver');
    writeFileSync(script(), 'exit 0\n');
    const parameters = { archive_mode: 'on', archive_command: `sh ${script()} %p %f` };
    p = await group.server('p', { data: true, parameters });
    s = await group.server('s', { parameters });
    expect(await p.pg.startPrimary(30_000)).toEqual(done);
    expect(await p.pg.ensureReplicationRole(5000)).toEqual(done);
    await joinStandby(p, s);
    await p.sql('create table t (i int)');
  }, 120_000);

  afterAll(async () => {
    for (const pid of p === undefined ? [] : commands()) process.kill(pid, 'SIGKILL');
    await group?.end();
  });

  describe('a clean stop while the archive is away', () => {
    test.each([
      ['hangs', `exec sleep ${NEVER}`],
      ['hangs in a process of its own', `sleep ${NEVER}; exit 1`],
      ['hears no signal', `trap '' TERM INT QUIT; sleep ${NEVER}`],
      ['fails', 'exit 1'],
    ])(
      'its command %s',
      async (_, lines) => {
        archiveWith(lines);
        await p.sql('insert into t values (1); select pg_switch_wal()');
        const archiver = await eventually('the archiver is at it', 30_000, () => marks('.ready').length > 0)
          .then(async () => childrenOf((await postmasterPid(p.options)) ?? 0))
          .then((children) => children.find(({ pid }) => processTitle(pid).includes('archiver')));
        if (lines !== 'exit 1') await eventually('its command runs', 30_000, () => commands().length > 0);

        const stopped = await p.pg.stop('fast', 1000 * NEVER, false);
        expect(stopped).toMatchObject({ kind: 'stopped', clean: true });
        expect(alive(archiver?.pid ?? 0)).toBe(false);
        await eventually('nothing of its command is left', 30_000, () => commands().length === 0);
        const end = stopped.kind === 'stopped' ? stopped.checkpoint : null;
        await eventually('the standby has the shutdown checkpoint', 30_000, async () => {
          const at = (await s.pg.facts(1000)).position?.replayed ?? 0n;
          return end !== null && at > end;
        });

        const left = marks('.ready');
        expect(left.length).toBeGreaterThan(0);
        archiveWith(`mkdir -p ${join(group.dir, 'archive')} && cp "$1" ${join(group.dir, 'archive')}/"$2"`);
        expect(await p.pg.startPrimary(30_000)).toEqual(done);
        await eventually('all of it is archived', 60_000, () =>
          left.every((name) => archived().includes(name)),
        );
        await eventually('the standby is back', 30_000, async () => (await s.pg.facts(10_000)).streaming);
      },
      120_000,
    );
  });
}
