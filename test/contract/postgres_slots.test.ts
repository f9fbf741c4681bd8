/**
 * One slot per standby: a half-open walsender and its reconnection are one standby, not two (PROTOCOL D.10).
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { slotName } from '../../agent/roles/postgres/index.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
/** Longer than the tests that need the half-open connection, shorter than patience. */
const walTimeout = 3000;

if (asServerUser(import.meta.path)) {
  describe('k = 2 of two standbys, one of them silent, the other half-open', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;
    let c: TestServer;
    const receivers: ChildProcess[] = [];
    const stopped: number[] = [];

    const receiverPid = async (s: TestServer) =>
      Number((await s.sql("select pid from pg_stat_activity where backend_type = 'walreceiver'"))[0]?.pid);
    const freeze = async (s: TestServer) => {
      const pid = await receiverPid(s);
      process.kill(pid, 'SIGSTOP');
      stopped.push(pid);
      return pid;
    };
    const senders = async (name: string) =>
      (await a.sql(`select pid, state from pg_stat_replication where application_name = '${name}'`)).length;
    /**
     * A second connection under b's name, as b's own after a restart of its machine: it writes and confirms
     * WAL.
     */
    const secondOfB = (slot: string | null) => {
      const dir = join(group.dir, `second${receivers.length}`);
      mkdirSync(dir);
      const child = spawn(
        join(a.options.binDir, 'pg_receivewal'),
        [
          '-D',
          dir,
          '--synchronous',
          '-n',
          '-s',
          '1',
          ...(slot ? ['-S', slot] : []),
          '-d',
          `host=${a.options.host} port=${a.options.port} user=${a.options.replicationUser} application_name=b_c1`,
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      receivers.push(child);
      let said = '';
      child.stderr?.on('data', (text) => {
        said += String(text);
      });
      return { child, said: () => said, ended: () => child.exitCode !== null };
    };

    beforeAll(async () => {
      group = createGroup('pg-slots');
      a = await group.server('a', { data: true, walTimeout });
      b = await group.server('b', { walTimeout: 60_000 });
      c = await group.server('c', { walTimeout: 60_000 });
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.ensureReplicationRole(2000)).toEqual(done);
      await a.sql('create table t (i int primary key)');
      await joinStandby(a, b);
      await joinStandby(a, c);
      expect(await a.pg.setSyncList({ names: ['b_c1', 'c_c1'], k: 2 }, 5000)).toEqual(done);
      expect(await a.pg.unfence(20_000)).toEqual(done);
      await eventually(
        'both stream',
        30_000,
        async () => (await senders('b_c1')) + (await senders('c_c1')) === 2,
      );
    });
    afterAll(async () => {
      for (const child of receivers) child.kill('SIGKILL');
      for (const pid of stopped)
        try {
          process.kill(pid, 'SIGCONT');
        } catch {}
      await group.end();
    });

    test.each([[true], [false]])(
      'with its slot (%p) the second connection of b is refused; without, it is counted as a second standby',
      async (withSlot) => {
        await eventually(
          'both stream',
          30_000,
          async () => (await senders('b_c1')) === 1 && (await senders('c_c1')) === 1,
        );
        const frozenC = await freeze(c);
        const client = a.client();
        let acknowledged = false;
        const began = performance.now();
        const pending = client`insert into t values (${withSlot ? 1 : 2})`.then(
          () => {
            acknowledged = true;
          },
          () => {},
        );
        await eventually('b has confirmed it, c has not', 30_000, async () => {
          const [row] = await a.sql(
            "select count(*)::int as n from pg_stat_replication where application_name = 'b_c1' and flush_lsn >= pg_current_wal_flush_lsn()",
          );
          return row?.n === 1;
        });
        expect(acknowledged).toBe(false);
        const frozenB = await freeze(b);
        const second = secondOfB(withSlot ? slotName('b') : null);

        if (withSlot) {
          await eventually('refused', 30_000, () => second.ended());
          expect(second.said()).toMatch(/replication slot "agent_b" is active for PID \d+/);
          expect(acknowledged).toBe(false);
          expect(await senders('b_c1')).toBe(1);
          // Tried again and again, as a walreceiver does, until the primary gives the silent connection up.
          let third = secondOfB(slotName('b'));
          await eventually('let in', walTimeout * 3, async () => {
            if (third.ended()) third = secondOfB(slotName('b'));
            return (
              (
                await a.sql(
                  "select 1 from pg_stat_replication where application_name = 'b_c1' and state = 'streaming' and flush_lsn is not null and reply_time > now() - interval '1 s'",
                )
              ).length > 0 &&
              !third.ended() &&
              performance.now() - began > walTimeout / 2
            );
          });
          console.log(
            `with a slot: let in again ${(performance.now() - began).toFixed(0)} ms after the silence began (wal_sender_timeout ${walTimeout})`,
          );
          expect(acknowledged).toBe(false);
          third.child.kill('SIGKILL');
        } else {
          // Both are b. Two confirmations, one copy: what the slot prevents.
          await eventually('acknowledged by b twice', 30_000, () => acknowledged);
          second.child.kill('SIGKILL');
        }
        process.kill(frozenB, 'SIGCONT');
        process.kill(frozenC, 'SIGCONT');
        await pending;
        expect(acknowledged).toBe(true);
      },
    );

    test('a clean stop is not held up by a standby that went silent, and stays clean', async () => {
      expect(await a.pg.setSyncList(null, 5000)).toEqual(done);
      await eventually(
        'both stream',
        30_000,
        async () => (await senders('b_c1')) === 1 && (await senders('c_c1')) === 1,
      );
      const frozen = await freeze(c);
      await a.sql('insert into t values (3)');
      const began = performance.now();
      const outcome = await a.pg.stop('fast', 10_000, true);
      console.log(`stop with a silent standby ${(performance.now() - began).toFixed(0)} ms`);
      expect(outcome).toMatchObject({ kind: 'stopped', clean: true });
      const checkpoint = outcome.kind === 'stopped' ? (outcome.checkpoint ?? 0n) : 0n;
      await eventually(
        'b replayed it',
        30_000,
        async () => ((await b.pg.position(10_000))?.replayed ?? 0n) > checkpoint,
      );
      process.kill(frozen, 'SIGCONT');
    });
  });
}
