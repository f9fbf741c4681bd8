/** The PostgreSQL driver on real servers: one node, then replication. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createPostgres } from '../../agent/roles/postgres/index.ts';
import { serverProcesses } from '../../agent/roles/postgres/process.ts';
import {
  asServerUser,
  createGroup,
  directStarter,
  eventually,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  describe('one server', () => {
    let group: TestGroup;
    let a: TestServer;
    beforeAll(async () => {
      group = createGroup('pg-one');
      a = await group.server('a', { data: true });
    });
    afterAll(() => group.end());

    test('without a server the facts say so and nothing is unknown', async () => {
      const empty = await group.server('none');
      expect(await empty.pg.facts(500)).toMatchObject({
        data: 'empty',
        process: 'stopped',
        accepting: false,
        fenced: true,
      });
      expect(await a.pg.facts(500)).toMatchObject({
        data: 'ok',
        process: 'stopped',
        role: 'unknown',
        standbySignal: false,
      });
      expect((await a.pg.facts(500)).systemId).toMatch(/^\d{15,20}$/);
    });

    test('adopting takes the managed settings out of postgresql.auto.conf and leaves the others', async () => {
      const auto = join(a.options.dataDir, 'postgresql.auto.conf');
      writeFileSync(auto, "# note\nport = '1'\nwork_mem = '5MB'\nprimary_conninfo = 'host=elsewhere'\n");
      expect(await a.pg.adopt()).toEqual(done);
      expect(readFileSync(auto, 'utf8')).toBe("# note\nwork_mem = '5MB'\n");
    });

    test('a primary comes up fenced, quickly, and on its own data', async () => {
      const began = performance.now();
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      const took = performance.now() - began;
      expect(await a.pg.facts(500)).toMatchObject({
        process: 'running',
        accepting: true,
        role: 'primary',
        fenced: true,
        upstreamHost: null,
        syncList: null,
      });
      console.log(`took ${took.toFixed(0)} ms`);
      console.log(`start ${took.toFixed(0)} ms`);
      await expect(a.client()`select 1`).rejects.toThrow(/pg_hba/);
      expect(await a.sql('show work_mem')).toMatchObject([{ work_mem: '5MB' }]);
    });

    test('started again it is left alone; as a standby it refuses', async () => {
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.startStandby(1000)).toMatchObject({
        kind: 'failed',
        why: expect.stringContaining('already runs as a primary'),
      });
    });

    test('unfenced it lets clients in; fenced it ends them and refuses new ones', async () => {
      let began = performance.now();
      expect(await a.pg.unfence(20_000)).toEqual(done);
      const opened = performance.now() - began;
      const client = a.client();
      expect(await client`select 1 as one`).toMatchObject([{ one: 1 }]);
      expect((await a.pg.facts(10_000)).fenced).toBe(false);
      const long = client`select pg_sleep(60)`.catch((error: Error) => error.message);
      await eventually(
        'the client sleeps',
        30_000,
        async () => (await a.sql("select 1 from pg_stat_activity where wait_event = 'PgSleep'")).length > 0,
      );
      began = performance.now();
      expect(await a.pg.fence(20_000)).toEqual(done);
      console.log(`unfence ${opened.toFixed(0)} ms, fence ${(performance.now() - began).toFixed(0)} ms`);
      expect(await long).toMatch(/terminating connection|closed/i);
      expect((await a.pg.facts(10_000)).fenced).toBe(true);
    });

    test('a login that began before the fence does not get in behind it', async () => {
      expect(await a.pg.unfence(20_000)).toEqual(done);
      const { Socket } = await import('node:net');
      const idle = new Socket();
      let closed = false;
      idle
        .on('close', () => {
          closed = true;
        })
        .on('error', () => {});
      await new Promise<void>((r) => idle.connect(a.options.port, a.options.host, () => r()));
      await new Promise((r) => setTimeout(r, 50));
      expect(await a.pg.fence(20_000)).toEqual(done);
      await eventually('the half-open login is ended', 30_000, () => closed);
    });

    test('the end of the postmaster is told at once, once, and nothing of it is left at the next start', async () => {
      expect(await a.pg.unfence(20_000)).toEqual(done);
      const client = a.client();
      await client`create table if not exists t (i int primary key)`;
      await client`insert into t values (1)`;
      const busy = client`select pg_sleep(60)`.catch(() => {});
      await eventually(
        'the client sleeps',
        30_000,
        async () => (await a.sql("select 1 from pg_stat_activity where wait_event = 'PgSleep'")).length > 0,
      );
      let lost = 0;
      let after = Number.NaN;
      const began = performance.now();
      a.pg.onLost(() => {
        lost++;
        after = performance.now() - began;
      });
      process.kill(a.options.starter.pid() ?? 0, 'SIGKILL');
      await eventually('onLost', 30_000, () => lost > 0);
      console.log(`loss noticed after ${after.toFixed(1)} ms`);
      const restart = performance.now();
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      console.log(`restarted in place after ${(performance.now() - restart).toFixed(0)} ms`);
      expect(lost).toBe(1);
      expect(await a.sql('select i from t')).toMatchObject([{ i: 1 }]);
      expect((await a.pg.facts(10_000)).fenced).toBe(true);
      await busy;
    });

    test('a stop says clean, where the shutdown checkpoint is, and leaves the sign of a standby', async () => {
      const [{ at } = {}] = await a.sql('select pg_current_wal_insert_lsn()::text as at');
      const began = performance.now();
      const stopped = await a.pg.stop('fast', 5000, true);
      console.log(`stop ${(performance.now() - began).toFixed(0)} ms`);
      expect(stopped).toMatchObject({ kind: 'stopped', clean: true, timeline: 1 });
      if (stopped.kind === 'stopped')
        expect(stopped.checkpoint).toBeGreaterThanOrEqual(BigInt(`0x${String(at).split('/')[1]}`));
      expect(serverProcesses(a.options.dataDir)).toEqual([]);
      expect(await a.pg.facts(500)).toMatchObject({ process: 'stopped', standbySignal: true });
      expect(await a.pg.stop('fast', 1000, false)).toMatchObject({ kind: 'stopped', clean: true });
    });

    test('an immediate stop is not clean', async () => {
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.stop('immediate', 5000, false)).toMatchObject({
        kind: 'stopped',
        clean: false,
        checkpoint: null,
      });
    });

    test('a frozen server is hung, not stopped, and ends by the deadline of its stop', async () => {
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      await a.pg.facts(500);
      for (const { pid } of serverProcesses(a.options.dataDir)) process.kill(pid, 'SIGSTOP');
      expect(await a.pg.facts(200)).toMatchObject({
        process: 'running',
        accepting: false,
        role: 'unknown',
        fenced: 'unknown',
      });
      expect((await a.pg.fence(200)).kind).toBe('failed');
      expect(await a.pg.stop('fast', 300, true)).toMatchObject({ kind: 'stopped', clean: false });
      expect(serverProcesses(a.options.dataDir)).toEqual([]);
    });

    test('a wrong setting is named when the start fails', async () => {
      const broken = await group.server('broken', { data: true, parameters: { shared_buffers: 'lots' } });
      expect(await broken.pg.startPrimary(3000)).toMatchObject({
        kind: 'failed',
        why: expect.stringContaining('shared_buffers'),
      });
    });

    test('a standby without an upstream is cut, settled and knows its position', async () => {
      expect(await a.pg.startStandby(20_000)).toEqual(done);
      const facts = await a.pg.facts(500);
      expect(facts).toMatchObject({
        role: 'standby',
        streaming: false,
        upstreamHost: null,
        standbySignal: true,
      });
      await eventually('settled', 30_000, async () => (await a.pg.position(10_000))?.settled === true);
      expect((await a.pg.position(10_000))?.timeline).toBe(1);
      expect(existsSync(join(a.options.dataDir, 'standby.signal'))).toBe(true);
      expect(await a.pg.stop('fast', 5000, true)).toMatchObject({
        kind: 'stopped',
        clean: true,
        checkpoint: null,
      });
    });

    test('a second driver, as after a restart of the agent, finds the server, its fence and its loss', async () => {
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.unfence(20_000)).toEqual(done);
      const again = createPostgres({ ...a.options, starter: directStarter(join(group.dir, 'again.log')) });
      expect(await again.facts(500)).toMatchObject({
        process: 'running',
        accepting: true,
        role: 'primary',
        fenced: false,
      });
      expect(await again.startPrimary(20_000)).toEqual(done);
      expect((await again.facts(500)).fenced).toBe(false);
      let lost = 0;
      again.onLost(() => lost++);
      process.kill(a.options.starter.pid() ?? 0, 'SIGKILL');
      await eventually('onLost', 30_000, () => lost === 1);
      expect(await again.startPrimary(20_000)).toEqual(done);
      expect(await again.stop('fast', 5000, false)).toMatchObject({ kind: 'stopped', clean: true });
      expect(lost).toBe(1);
      await again.close();
    });

    test('after a backend crash the server does not come back by itself, open (PROTOCOL D.7)', async () => {
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.unfence(20_000)).toEqual(done);
      const client = a.client();
      const [row] = await client`select pg_backend_pid() as pid`;
      process.kill(Number(row?.pid), 'SIGKILL');
      await eventually(
        'the server has ended',
        30_000,
        async () => (await a.pg.facts(300)).process === 'stopped',
      );
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect((await a.pg.facts(10_000)).fenced).toBe(true);
    });

    test('a fence holds a killed postmaster’s children too: none is left to answer a client', async () => {
      expect(await a.pg.unfence(20_000)).toEqual(done);
      const client = a.client();
      const busy = client`select count(*) from generate_series(1, 2000000000)`.catch(() => 'ended');
      await eventually(
        'it computes',
        30_000,
        async () =>
          (
            await a.sql(
              "select 1 from pg_stat_activity where query like '%generate_series%' and state = 'active'",
            )
          ).length > 1,
      );
      process.kill(a.options.starter.pid() ?? 0, 'SIGKILL');
      await eventually('the postmaster is gone', 30_000, () => a.options.starter.pid() === null);
      expect(serverProcesses(a.options.dataDir).length).toBeGreaterThan(0);
      expect(await a.pg.fence(20_000)).toEqual(done);
      expect(serverProcesses(a.options.dataDir)).toEqual([]);
      expect(await busy).toBe('ended');
    });

    test('a database over the limit is not dumped, and the manifest says so', async () => {
      const big = await group.server('big', { data: true, dumpLimit: 1 });
      // Its data was last run with more connections than its configuration has: no reason not to start.
      expect(await big.pg.startStandby(20_000)).toEqual(done);
      expect(await big.sql('show max_connections')).toMatchObject([{ max_connections: '100' }]);
      const saved = await big.pg.saveDivergence({ epoch: 1, fork: null, reason: 'test' });
      const dir = saved.kind === 'done' ? (saved.dir ?? '') : '';
      expect(JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'))).toMatchObject({
        dumps: [],
        not_dumped: expect.stringContaining('limit'),
      });
    });

    test("the manager's own configuration and pg_hba stay in force under the cluster's", async () => {
      const conf = join(group.dir, 'manager.conf');
      const hba = join(group.dir, 'manager_hba.conf');
      writeFileSync(
        conf,
        "port = 1\nlisten_addresses = '*'\nwork_mem = '7MB'\nhba_file = '/nowhere'\nsynchronous_standby_names = '*'\n",
      );
      writeFileSync(hba, 'host all app all trust\n');
      const own = await group.server('own', { data: true, originalConfig: conf, originalHba: hba });
      expect(await own.pg.adopt()).toEqual(done);
      expect(await own.pg.startPrimary(20_000)).toEqual(done);
      expect(await own.sql('show work_mem')).toMatchObject([{ work_mem: '7MB' }]);
      expect((await own.pg.facts(10_000)).syncList).toBeNull();
      await own.sql('create role app login');
      expect(await own.pg.unfence(20_000)).toEqual(done);
      await expect(own.client()`select 1`).rejects.toThrow(/pg_hba/);
      expect(await own.client({ user: 'app' })`select 1 as one`).toMatchObject([{ one: 1 }]);
    });

    test('what somebody set by ALTER SYSTEM does not win over the cluster', async () => {
      const s = await group.server('altered', { data: true });
      expect(await s.pg.startPrimary(20_000)).toEqual(done);
      await s.sql("alter system set synchronous_standby_names = 'x'");
      expect(await s.pg.setSyncList({ names: ['x_1'], k: 1 }, 5000)).toEqual(done);
      expect((await s.pg.facts(10_000)).syncList).toEqual({ names: ['x_1'], k: 1 });
    });
  });
}
