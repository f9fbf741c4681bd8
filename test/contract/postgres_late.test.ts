/**
 * Calls that were given up and go on, on real servers: what was asked for later stands. A file that does not
 * answer is a FIFO that nobody has written to yet.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createPostgres } from '../../agent/roles/postgres/index.ts';
import type { Postgres } from '../../agent/roles/postgres/port.ts';
import { childrenOf, postmasterPid, processTitle } from '../../agent/roles/postgres/process.ts';
import { promotionQuery } from '../../agent/roles/postgres/promote.ts';
import { createHelperClient } from '../../agent/roles/postgres_helper/client.ts';
import { serveHelper } from '../../agent/roles/postgres_helper/server.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const failed = { kind: 'failed' } as const;
const moment = () => new Promise((go) => setTimeout(go, 400));

/** A file at `path` that hangs whoever reads it, until it is let go with what it holds. */
function hanging(path: string) {
  const made = spawnSync('mkfifo', [path]);
  if (made.status !== 0) throw new Error('mkfifo');
  const open = (at: string): number | null => {
    try {
      return openSync(at, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return null; // nobody reads yet
    }
  };
  let now = path;
  let fd: number | null = null;
  return {
    /** Somebody hangs on it. */
    hangs: () =>
      eventually('somebody reads it', 30_000, () => {
        fd ??= open(now);
        return fd !== null;
      }),
    /** Others find `text` there; who hangs goes on hanging. */
    replace(text: string) {
      now = `${path}.aside`;
      renameSync(path, now);
      writeFileSync(path, text);
    },
    letGo(text = '') {
      if (fd === null) throw new Error('nobody hangs');
      if (text !== '') writeSync(fd, text);
      closeSync(fd);
      fd = null;
    },
  };
}

if (asServerUser(import.meta.path)) {
  let group: TestGroup;
  let a: TestServer;
  let b: TestServer;
  const history = () => join(b.options.dataDir, 'pg_wal', '00000009.history');

  beforeAll(async () => {
    group = createGroup('pg-late');
    a = await group.server('a', { data: true });
    b = await group.server('b');
    expect(await a.pg.startPrimary(20_000)).toEqual(done);
    expect(await a.pg.ensureReplicationRole(5000)).toEqual(done);
    await joinStandby(a, b);
  });
  afterAll(() => group.end());

  const cutStays = async (pg: Postgres = b.pg) => {
    await moment();
    expect(await pg.facts(2000)).toMatchObject({ upstreamHost: null, streaming: false });
    expect(await a.sql('select application_name from pg_stat_replication')).toEqual([]);
  };

  describe('to follow, hanging on a file in pg_wal', () => {
    test('and given up at its deadline, is void once the voter cut itself', async () => {
      expect(await b.pg.setUpstream(null, 20_000)).toEqual(done);
      const file = hanging(history());
      const follow = b.pg.setUpstream(a.upstream, 700);
      await file.hangs();
      expect(await follow).toMatchObject(failed);
      expect(await b.pg.setUpstream(null, 20_000)).toEqual(done);
      file.letGo();
      await cutStays();
      rmSync(history(), { force: true });
    });

    test('and given up, is not begun later even where nothing came after it', async () => {
      const file = hanging(history());
      const follow = b.pg.setUpstream(a.upstream, 700);
      await file.hangs();
      expect(await follow).toMatchObject(failed);
      file.letGo();
      await cutStays();
      rmSync(history(), { force: true });
    });

    test('with time enough, is failed by a cut that came meanwhile', async () => {
      const file = hanging(history());
      const follow = b.pg.setUpstream(a.upstream, 30_000);
      await file.hangs();
      expect(await b.pg.setUpstream(null, 20_000)).toEqual(done);
      file.letGo();
      expect(await follow).toMatchObject({ kind: 'failed', why: expect.stringContaining('later') });
      await cutStays();
      rmSync(history(), { force: true });
    });

    test('does not take away the timelines that a later candidacy has reserved', async () => {
      const file = hanging(history());
      const follow = b.pg.setUpstream(a.upstream, 30_000);
      await file.hangs();
      expect(await b.pg.setUpstream(null, 20_000)).toEqual(done);
      expect(await b.pg.reserveTimelines(4)).toEqual(done);
      file.letGo('# reserved\n');
      expect(await follow).toMatchObject(failed);
      for (const tli of [2, 3])
        expect(existsSync(join(b.options.dataDir, 'pg_wal', `0000000${tli}.history`))).toBe(true);
      rmSync(history(), { force: true });
    });

    test('and asked by an agent that is gone, is void for the next one', async () => {
      const socketPath = join(group.dir, 'own.sock');
      const driver = createPostgres(b.options);
      const helper = await serveHelper({
        socketPath,
        say: () => {},
        outdated: () => {},
        driverFor: () => ({ key: 'b', make: () => driver }),
      });
      const names = { node: 'b', hostIp: b.options.host, publicIp: null };
      const first = createHelperClient({ socketPath, names, say: () => {} });
      const file = hanging(history());
      const follow = first.setUpstream(a.upstream, 30_000);
      await file.hangs();
      await first.close();
      expect(await follow).toMatchObject(failed);
      const next = createHelperClient({ socketPath, names, say: () => {} });
      expect(await next.facts(2000)).toMatchObject({ upstreamHost: null });
      file.letGo();
      await cutStays(next);
      rmSync(history(), { force: true });
      await next.close();
      await helper.close();
    });

    test('and asked of a driver that was replaced, is void, as is all else it was asked', async () => {
      const former = createPostgres(b.options);
      const file = hanging(history());
      const follow = former.setUpstream(a.upstream, 30_000);
      await file.hangs();
      await former.close();
      file.letGo();
      expect(await follow).toMatchObject(failed);
      expect(await former.setUpstream(a.upstream, 1000)).toMatchObject(failed);
      await cutStays();
      rmSync(history(), { force: true });
    });

    test('is possible again afterwards', async () => {
      expect(await b.pg.setUpstream(a.upstream, 10_000)).toEqual(done);
      await eventually('streaming', 30_000, async () => (await b.pg.facts(10_000)).streaming);
    });
  });

  describe('a promotion that the server does not get to', () => {
    const startup = async () => {
      const pid = await postmasterPid(b.options);
      const child = childrenOf(pid ?? 0).find((one) => processTitle(one.pid).includes('startup'));
      if (child === undefined) throw new Error('no startup process');
      return child.pid;
    };

    test('does not come about after a cut', async () => {
      expect(await b.pg.setUpstream(null, 20_000)).toEqual(done);
      const pid = await startup();
      process.kill(pid, 'SIGSTOP');
      try {
        const promotion = b.pg.promote(10_000);
        await eventually('it is asked for', 30_000, () => existsSync(join(b.options.dataDir, 'promote')));
        expect(await b.pg.setUpstream(null, 20_000)).toEqual(done);
        process.kill(pid, 'SIGCONT');
        expect(await promotion).toMatchObject(failed);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      expect(await b.pg.facts(10_000)).toMatchObject({ role: 'standby' });
    });

    test('does not come about after its deadline', async () => {
      const pid = await startup();
      process.kill(pid, 'SIGSTOP');
      try {
        expect(await b.pg.promote(700)).toMatchObject(failed);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await moment();
      expect(await b.pg.facts(10_000)).toMatchObject({ role: 'standby' });
    });

    test('does not come about by a backend that hung meanwhile', async () => {
      const [kept] = await b.sql(
        "select pid from pg_stat_activity where application_name like 'agent %' and pid <> pg_backend_pid()",
      );
      process.kill(Number(kept?.pid), 'SIGSTOP');
      try {
        expect(await b.pg.promote(700)).toMatchObject(failed);
      } finally {
        process.kill(Number(kept?.pid), 'SIGCONT');
      }
      await moment();
      expect(await b.pg.facts(10_000)).toMatchObject({ role: 'standby' });
    });

    test('is refused by the server itself without its pass, with that of another, and too late', async () => {
      const path = join(b.options.confDir, 'promotion');
      expect(existsSync(path)).toBe(false);
      const soon = Date.now() / 1000 + 60;
      const ask = async (name: string, until: number) => (await b.sql(promotionQuery(path, name, until)))[0];
      expect(await ask('x', soon)).toEqual({ ok: false });
      writeFileSync(path, 'y');
      expect(await ask('x', soon)).toEqual({ ok: false });
      expect(await ask('y', Date.now() / 1000 - 1)).toEqual({ ok: false });
      rmSync(path);
      await moment();
      expect(await b.pg.facts(10_000)).toMatchObject({ role: 'standby' });
    });

    test('that a killed driver left is taken back by the next one', async () => {
      const pid = await startup();
      process.kill(pid, 'SIGSTOP');
      try {
        const pass = join(b.options.confDir, 'promotion');
        // What a driver leaves that is killed after it asked.
        writeFileSync(pass, 'x');
        expect(await b.sql(promotionQuery(pass, 'x', Date.now() / 1000 + 60))).toEqual([{ ok: true }]);
        await createPostgres(b.options).close();
        expect([existsSync(pass), existsSync(join(b.options.dataDir, 'promote'))]).toEqual([false, false]);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await moment();
      expect(await b.pg.facts(10_000)).toMatchObject({ role: 'standby' });
    });

    test('that is stopped leaves a standby', async () => {
      const pid = await startup();
      process.kill(pid, 'SIGSTOP');
      const promotion = b.pg.promote(20_000);
      await eventually('it is asked for', 30_000, () => existsSync(join(b.options.dataDir, 'promote')));
      expect(await b.pg.stop('immediate', 1500, true)).toMatchObject({ kind: 'stopped' });
      expect(await promotion).toMatchObject(failed);
      expect(await b.pg.startStandby(20_000)).toEqual(done);
      await moment();
      expect(await b.pg.facts(10_000)).toMatchObject({ role: 'standby' });
    });

    test('is asked for anew and done', async () => {
      expect(await b.pg.promote(20_000)).toMatchObject(done);
      expect(existsSync(join(b.options.confDir, 'promotion'))).toBe(false);
    });
  });

  describe('behind a write that hangs', () => {
    let c: TestServer;
    const open = 'host all all all trust\n';
    const hba = () => join(group.dir, 'original_hba.conf');
    beforeAll(async () => {
      writeFileSync(hba(), open);
      c = await group.server('c', { data: true, originalHba: hba() });
      expect(await c.pg.startPrimary(20_000)).toEqual(done);
    });
    const block = (path = hba()) => {
      rmSync(path);
      return hanging(path);
    };
    const clients = async () => {
      try {
        await c.client()`select 1`;
        return 'let in';
      } catch {
        return 'refused';
      }
    };

    test('clients are not let in by a call that was given up, once they are shut out', async () => {
      expect(await clients()).toBe('refused');
      const file = block();
      const unfence = c.pg.unfence(700);
      await file.hangs();
      if (process.env.PG_TEST_HELPER !== undefined) expect(await unfence).toMatchObject(failed);
      file.replace(open);
      const fence = c.pg.fence(20_000);
      await moment();
      file.letGo(open);
      expect(await fence).toEqual(done);
      expect(await unfence).toMatchObject(failed);
      expect(await clients()).toBe('refused');
      expect((await c.pg.facts(10_000)).fenced).toBe(true);
    });

    test('nor after the deadline alone', async () => {
      const file = block();
      const unfence = c.pg.unfence(300);
      await file.hangs();
      await moment();
      file.replace(open);
      file.letGo(open);
      expect(await unfence).toMatchObject(failed);
      await moment();
      expect(await clients()).toBe('refused');
      expect(await c.pg.unfence(10_000)).toEqual(done);
      expect(await clients()).toBe('let in');
    });

    test('a list of voters gives way to the later one', async () => {
      const file = block();
      const first = c.pg.setSyncList({ k: 1, names: ['x_c1', 'y_c1'] }, 20_000);
      await file.hangs();
      file.replace(open);
      const later = c.pg.setSyncList({ k: 1, names: ['y_c1'] }, 20_000);
      await moment();
      file.letGo(open);
      expect(await first).toMatchObject(failed);
      expect(await later).toEqual(done);
      expect((await c.pg.facts(10_000)).syncList).toEqual({ k: 1, names: ['y_c1'] });
    });

    test('a list of voters is not written after its deadline', async () => {
      const file = block();
      const first = c.pg.setSyncList(null, 300);
      await file.hangs();
      await moment();
      file.replace(open);
      file.letGo(open);
      expect(await first).toMatchObject(failed);
      await moment();
      expect((await c.pg.facts(10_000)).syncList).toEqual({ k: 1, names: ['y_c1'] });
    });

    test('a start as primary that hangs past its deadline leaves a standby, and starts nothing', async () => {
      expect(await c.pg.stop('fast', 10_000, true)).toMatchObject({ kind: 'stopped' });
      // Shut, as every start is, it reads none of the manager's rules.
      const file = block(join(c.options.confDir, 'postgresql.conf'));
      const start = c.pg.startPrimary(300);
      await file.hangs();
      await moment();
      file.replace('');
      file.letGo('');
      expect(await start).toMatchObject(failed);
      await moment();
      expect(await c.pg.facts(2000)).toMatchObject({ process: 'stopped', standbySignal: true });
    });
  });
}
