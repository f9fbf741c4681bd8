/**
 * Input: recovery_target = 'immediate', recovery_target_action = 'promote', restore_command = 'sleep 1;
 *        false' left in postgresql.conf or set with ALTER SYSTEM; then join, switch over, tear down.
 * Right: what joins stays a standby, no archive is asked for streaming or a promotion, and teardown gives the
 *        settings back.
 * Source: reports of standbys that became primaries by themselves, and of failovers that waited for an
 *        archive.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { givingBack } from '../../agent/install/give_back_database.ts';
import { takenFile } from '../../agent/roles/postgres/originals.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  describe('settings of an earlier recovery', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;
    let asked: string;
    const auto = (s: TestServer) => join(s.options.dataDir, 'postgresql.auto.conf');
    const shown = async (s: TestServer) =>
      (
        await s.sql(`select name, setting from pg_settings
          where name in ('recovery_target', 'recovery_target_name', 'restore_command', 'archive_cleanup_command',
            'recovery_end_command', 'promote_trigger_file', 'recovery_min_apply_delay') and setting not in ('', '0')`)
      ).map((row) => row.name);

    beforeAll(async () => {
      group = createGroup('cases-recovery');
      a = await group.server('a', { data: true });
      b = await group.server('b');
      asked = join(group.dir, 'asked');
      const ask = (what: string) => `'echo ${what} >>${asked}; sleep 1; false'`;
      appendFileSync(
        join(a.options.dataDir, 'postgresql.conf'),
        [
          "recovery_target = 'immediate'",
          "recovery_target_action = 'promote'",
          `restore_command = ${ask('restore')}`,
          `archive_cleanup_command = ${ask('cleanup')}`,
          `recovery_end_command = ${ask('end')}`,
          `promote_trigger_file = '${asked}.promote'`,
          "recovery_min_apply_delay = '1h'\n",
        ].join('\n'),
      );
      // What ALTER SYSTEM left: it would win over every file.
      appendFileSync(
        auto(a),
        `recovery_end_command = 'false'\nrestore_command = ${ask('auto')}\nwork_mem = '5MB'\n`,
      );
      writeFileSync(`${asked}.promote`, '');
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(30_000)).toEqual(done);
      expect(await a.pg.ensureReplicationRole(10_000)).toEqual(done);
      await a.sql('create table t (i int)');
      await joinStandby(a, b);
    });
    afterAll(() => group.end());

    test('what joins is a standby that streams, and stays one', async () => {
      expect([await shown(a), await shown(b)]).toEqual([[], []]);
      await a.sql('insert into t values (1)');
      await eventually('the row', 30_000, async () => (await b.sql('select 1 from t')).length === 1);
      expect(await b.pg.facts(10_000)).toMatchObject({ role: 'standby', streaming: true });
    });

    test('ALTER SYSTEM on a running standby is without effect, and out again with the next change of the agent', async () => {
      await b.sql("alter system set recovery_min_apply_delay = '1h'");
      await b.sql(`alter system set restore_command = 'touch ${asked}'`);
      await b.sql('select pg_reload_conf()');
      await new Promise((next) => setTimeout(next, 500));
      expect(await shown(b)).toEqual([]);
      // What is on no command line is in force until the agent looks next.
      await b.sql("alter system set synchronous_commit = 'off'");
      await b.sql("alter system set work_mem = '7MB'");
      await b.sql('select pg_reload_conf()');
      const level = async () => (await b.sql('show synchronous_commit'))[0]?.synchronous_commit;
      await eventually('in force', 30_000, async () => (await level()) === 'off');
      expect((await b.pg.holdSettings(10_000)).taken?.sort()).toEqual([
        'recovery_min_apply_delay',
        'restore_command',
        'synchronous_commit',
      ]);
      await eventually('out of force', 30_000, async () => (await level()) === 'on');
      expect((await b.sql('show work_mem'))[0]?.work_mem).toBe('7MB');
      expect((await b.pg.holdSettings(10_000)).taken).toEqual([]);
      await b.sql("alter system set recovery_min_apply_delay = '1h'");
      expect(await b.pg.setUpstream(null, 10_000)).toEqual(done);
      expect(await b.pg.setUpstream(a.upstream, 10_000)).toEqual(done);
      expect(await shown(b)).toEqual([]);
      expect(readFileSync(auto(b), 'utf8')).not.toContain('recovery_min_apply_delay');
    });

    test('a restart, a restart point and a promotion ask no archive', async () => {
      expect(await b.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      expect(await b.pg.startStandby(30_000)).toEqual(done);
      await eventually('streaming', 30_000, async () => (await b.pg.facts(10_000)).streaming);
      await a.sql('checkpoint');
      await b.sql('checkpoint');
      expect(await a.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      expect(await b.pg.promote(30_000)).toMatchObject(done);
      expect(existsSync(asked)).toBe(false);
    });

    test("teardown's script puts back what ALTER SYSTEM had set, after what is there now", async () => {
      const before = readFileSync(auto(a), 'utf8');
      expect(before).toContain("work_mem = '5MB'");
      expect(before).not.toContain('restore_command');
      const ran = spawnSync('sh', ['-c', givingBack, 'sh', takenFile(a.options), auto(a)], {
        encoding: 'utf8',
      });
      expect([ran.status, ran.stderr]).toEqual([0, '']);
      const taken = readFileSync(auto(a), 'utf8').slice(before.length).split('\n');
      expect(taken.map((line) => line.split(' = ')[0])).toEqual([
        'recovery_end_command',
        'restore_command',
        '',
      ]);
      expect(existsSync(takenFile(a.options))).toBe(false);
    });
  });
}
