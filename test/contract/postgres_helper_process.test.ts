/**
 * The helper as a process beside a real server: killed, frozen, and left alone by its agent in the middle of
 * a copy.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { DETACH, type Postgres } from '../../agent/roles/postgres/port.ts';
import { serverProcesses } from '../../agent/roles/postgres/process.ts';
import { createHelperClient, unknownFacts } from '../../agent/roles/postgres_helper/client.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const script = join(import.meta.dir, '../roles/postgres_helper/helper.process.ts');

if (asServerUser(import.meta.path)) {
  describe('the helper of a server', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;
    let socketPath: string;
    let helper: ChildProcess;
    let agent: Postgres;

    const start = async (of: TestServer) => {
      const { starter: _, ...options } = of.options;
      socketPath = join(of.options.confDir, '..', 'h.sock');
      helper = spawn(process.execPath, [script, JSON.stringify({ socketPath, options })], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((ready) => helper.stdout?.once('data', ready));
    };
    const connected = (of: TestServer) =>
      createHelperClient({
        socketPath,
        names: { node: of.options.node, hostIp: of.options.host, publicIp: null },
        say: () => {},
      });
    const timed = async <T>(work: Promise<T>): Promise<[T, number]> => {
      const began = performance.now();
      return [await work, performance.now() - began];
    };

    beforeAll(async () => {
      group = createGroup('pg-helper');
      a = await group.server('a', { data: true, parameters: { log_replication_commands: 'on' } });
      b = await group.server('b', {});
      await start(a);
      agent = connected(a);
      expect(await agent.adopt()).toEqual(done);
      expect(await agent.startPrimary(10_000)).toEqual(done);
      expect(await agent.ensureReplicationRole(2000)).toEqual(done);
      expect(await agent.ensureSlots(['b'], 2000)).toEqual(done);
    });
    afterAll(async () => {
      await agent.close();
      helper.kill('SIGKILL');
      await group.end();
    });

    test('killed in the middle of a call it rejects the call at once; the server stays, and the next helper finds it', async () => {
      await a.sql(
        'create table big as select i, repeat(md5(i::text), 20) as t from generate_series(1, 60000) i',
      );
      const [{ pid } = { pid: 0 }] = serverProcesses(a.options.dataDir);
      // A list that no standby is on: a write of the driver's own cannot hang, but this wait can.
      const waiting = agent.setUpstream({ node: 'x', host: '127.0.0.1', port: 1 }, 60_000);
      const slow = agent.saveDivergence({ epoch: 1, fork: null, reason: 'test' });
      helper.kill('SIGKILL');
      const [outcome, took] = await timed(slow);
      expect(outcome).toMatchObject({ kind: 'failed' });
      console.log(`took ${took.toFixed(0)} ms`);
      await waiting;
      expect(await agent.facts(100)).toEqual(unknownFacts);
      await start(a);
      expect(await agent.facts(2000)).toMatchObject({ process: 'running', accepting: true, role: 'primary' });
      expect(serverProcesses(a.options.dataDir)[0]?.pid).toBe(pid);
      expect(await agent.setUpstream(null, 20_000)).toEqual(done);
    });

    test('frozen it makes facts unknown in time, and what it was told meanwhile is not done when it thaws', async () => {
      expect(await agent.fence(20_000)).toEqual(done);
      helper.kill('SIGSTOP');
      const [seen, took] = await timed(agent.facts(200));
      expect(seen).toEqual(unknownFacts);
      console.log(`took ${took.toFixed(0)} ms`);
      expect(await agent.unfence(300)).toMatchObject({ kind: 'failed' });
      // Long enough for the connection to be given up.
      const copy = agent.saveDivergence({ epoch: 2, fork: null, reason: 'test' });
      expect(await copy).toMatchObject({ kind: 'failed' });
      helper.kill('SIGCONT');
      await eventually('it answers again', 30_000, async () => (await agent.facts(500)).accepting);
      expect((await agent.facts(500)).fenced).toBe(true);
      await expect(a.client()`select 1`).rejects.toThrow(/pg_hba/);
    });

    test('a copy goes on without its agent, and the next agent has its outcome', async () => {
      const forB = helper;
      await start(b);
      try {
        const first = connected(b);
        const stop = new AbortController();
        let began = false;
        const copy = first.basebackup(a.upstream, () => (began = true), stop.signal);
        await eventually('the copy runs', 30_000, () => began);
        stop.abort(DETACH);
        await first.close();
        expect(await copy).toMatchObject({ kind: 'failed' });
        const second = connected(b);
        expect((await second.facts(1000)).data).toBe('empty');
        const [outcome, took] = await timed(
          second.basebackup(a.upstream, () => {}, new AbortController().signal),
        );
        expect(outcome).toEqual(done);
        console.log(`joined a running copy: ${took.toFixed(0)} ms`);
        expect(a.log().match(/command: BASE_BACKUP/g) ?? []).toHaveLength(1);
        expect(await second.setUpstream(a.upstream, 20_000)).toEqual(done);
        expect(await second.startStandby(10_000)).toEqual(done);
        expect(await second.wipe()).toEqual(done);
        expect(await second.inspect()).toEqual({ empty: true, version: null, systemId: null });
        await second.close();
      } finally {
        helper.kill('SIGKILL');
        helper = forB;
      }
    });
  });
}
