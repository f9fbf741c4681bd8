/**
 * Input: `alter role postgres set default_transaction_read_only = on`, a statement_timeout of 1 ms, an idle
 *        timeout, another role, serializable transactions, a library that is gone; and an event trigger that
 *        raises.
 * Right: the agent's own sessions set what they need for themselves: open, facts, checks, slots, roles,
 *        copies and rewinds as without them.
 * Source: reports of agents that could not work in a database whose administrator had made his own role safe.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openForWriting } from '../../agent/checks/wire/heartbeat_row.ts';
import { WireSession } from '../../agent/checks/wire/session.ts';
import { cleaning } from '../../agent/install/give_back_database.ts';
import { runOk } from '../../agent/platform/process.ts';
import { asPgOptions, ownSettings } from '../../agent/roles/postgres/query_settings.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

/** As an administrator may leave it; the last one ends every connection that does not say otherwise. */
const harsh = [
  'default_transaction_read_only = on',
  "default_transaction_isolation = 'serializable'",
  "search_path = 'nowhere'",
  'idle_session_timeout = 300',
  'idle_in_transaction_session_timeout = 1',
  'lock_timeout = 1',
  "role = 'nobody'",
  "log_statement = 'all'",
  'standard_conforming_strings = off',
  'statement_timeout = 1',
  "session_preload_libraries = 'a_library_that_is_gone'",
];

if (asServerUser(import.meta.path)) {
  describe('a role with settings of its own', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;
    const target = (s: TestServer) => ({
      host: s.options.host,
      port: s.options.port,
      socketDir: s.options.socketDir,
      user: 'postgres',
      database: 'postgres',
    });
    const heartbeat = async (s: TestServer) => {
      const session = await openForWriting(target(s), 30_000, AbortSignal.timeout(30_000), () => {});
      session.close();
    };
    /** As psql of an administrator who knows what he set. */
    const ask = async (s: TestServer, text: string) => {
      const args = [
        '-XAtq',
        '-v',
        'ON_ERROR_STOP=1',
        '-h',
        s.options.socketDir,
        '-p',
        String(s.options.port),
      ];
      const env = { PGOPTIONS: asPgOptions(ownSettings) };
      const ran = await runOk(`${s.options.binDir}/psql`, [...args, '-d', 'postgres', '-c', text], {
        deadline: 30_000,
        env,
      });
      return ran.stdout.trim();
    };

    beforeAll(async () => {
      group = createGroup('cases-role');
      a = await group.server('a', { data: true });
      b = await group.server('b');
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(30_000)).toEqual(done);
      await a.sql('create role nobody');
      await a.sql(`create function refuse() returns event_trigger language plpgsql
        as $$ begin raise exception 'no % here', tg_tag; end $$`);
      await a.sql('create event trigger refuse on ddl_command_start execute function refuse()');
      for (const one of harsh) await ask(a, `alter role postgres set ${one}`);
      for (const one of harsh.slice(0, 3)) await ask(a, `alter role all set ${one}`);
      // What was open before has none of it.
      expect(await a.pg.stop('fast', 30_000, false)).toMatchObject({ kind: 'stopped' });
    });
    afterAll(() => group.end());

    test('is one that a session of somebody else cannot work with', async () => {
      expect(await a.pg.startPrimary(30_000)).toEqual(done);
      await expect(a.sql('create table x ()')).rejects.toThrow('a_library_that_is_gone');
    });

    test('opens, replicates and is looked at as any other', async () => {
      expect(await a.pg.ensureReplicationRole(30_000)).toEqual(done);
      expect(await a.pg.unfence(30_000)).toEqual(done);
      expect(await a.pg.facts(30_000)).toMatchObject({ accepting: true, role: 'primary', fenced: false });
      await joinStandby(a, b);
      expect(await b.pg.facts(30_000)).toMatchObject({ accepting: true, role: 'standby', streaming: true });
      expect(await a.pg.setSyncList({ names: ['b_c1'], k: 1 }, 30_000)).toEqual(done);
    });

    test('a kept connection that nobody used for a while is there still', async () => {
      let lost = 0;
      a.pg.onLost(() => lost++);
      expect(await a.pg.facts(30_000)).toMatchObject({ accepting: true });
      await new Promise((next) => setTimeout(next, 1500));
      expect(await a.pg.facts(30_000)).toMatchObject({ accepting: true });
      expect(lost).toBe(0);
    });

    test('the checks have their answers, and the heartbeat its table, past an event trigger that raises', async () => {
      expect((await WireSession.once(target(a), 'select 1', AbortSignal.timeout(30_000))).value).toBe('1');
      await heartbeat(a);
      expect(await ask(a, 'select count(*) from cloudify_agent.heartbeat')).toBe('1');
    });

    test('a former active is dumped, rewound and streams again', async () => {
      const before = await a.pg.position(30_000);
      expect(await a.pg.setSyncList(null, 30_000)).toEqual(done);
      expect(await b.pg.setUpstream(null, 30_000)).toEqual(done);
      await ask(a, 'create table public.lost as select 1 as i');
      expect(await b.pg.promote(30_000)).toMatchObject(done);
      expect(await a.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped', clean: true });
      expect(await a.pg.startStandby(30_000)).toEqual(done);
      const fork = { tli: before?.timeline ?? 1, lsn: before?.lsn ?? 0n };
      const saved = await a.pg.saveDivergence({ epoch: 2, fork, reason: 'a test' });
      expect(saved).toMatchObject(done);
      const manifest = JSON.parse(readFileSync(join(saved.dir ?? '', 'manifest.json'), 'utf8'));
      expect(manifest.dumps.map((one: { database: string }) => one.database)).toEqual(['postgres']);
      expect(await a.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      expect(await b.pg.ensureSlots(['a'], 30_000)).toEqual(done);
      expect(await a.pg.rewind(b.upstream, () => {}, new AbortController().signal)).toEqual(done);
      expect(await a.pg.setUpstream(b.upstream, 30_000)).toEqual(done);
      expect(await a.pg.startStandby(30_000)).toEqual(done);
      await eventually('streaming', 30_000, async () => (await a.pg.facts(30_000)).streaming);
      expect(await ask(a, "select to_regclass('public.lost') is null")).toBe('t');
    });

    test("teardown's statements take out what the cluster made", async () => {
      expect(await a.pg.stop('fast', 30_000, true)).toMatchObject({ kind: 'stopped' });
      await ask(b, cleaning(b.options.replicationUser));
      expect(await ask(b, "select count(*) from pg_roles where rolname like 'cloudify%'")).toBe('0');
    });
  });
}
