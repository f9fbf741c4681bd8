/**
 * A client that only waits, and has no keep-alive, learns that its server is no longer the active: over real
 * rules, real sets, the real lease helper and a real database, in namespaces.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { eventually } from '../fixtures/postgres.ts';
import { PATIENCE, type Running, World } from './namespaces.ts';

const works = (...command: string[]) => spawnSync(command[0] ?? '', command.slice(1)).status === 0;
const able =
  process.getuid?.() === 0 && works('unshare', '-n', 'ipset', 'list') && works('unshare', '-n', 'ss', '-V');

describe.skipIf(!able)('a waiting client ends', () => {
  let world: World;
  let stopAgent = () => {};
  let clients: Running[] = [];

  /** Clients of both ports, of both families, from outside and from the machine itself, all connected. */
  async function connect(): Promise<void> {
    // A server that lives does not notice at once that the one who asked is gone.
    const asleep = `from pg_stat_activity where query like '%pg_sleep(3600)' and client_addr is not null`;
    await eventually('nobody is left from before', PATIENCE, () => {
      world.sql(`select pg_terminate_backend(pid) ${asleep}`);
      return world.sql(`select count(*) ${asleep}`) === '0';
    });
    stopAgent = await world.renewing();
    const databases = ['10.9.0.1', 'fd09:0::1'].map((host) => world.waiting(host));
    databases.push(world.waiting('127.0.0.1', 'server'));
    const others = [
      world.listening('10.9.0.1'),
      world.listening('fd09:0::1'),
      world.listening('127.0.0.1', 'server'),
    ];
    clients = [...databases, ...others];
    await eventually('all clients wait', PATIENCE, () => {
      for (const { ended, said } of clients) if (ended()) throw new Error(`a client ended early: ${said()}`);
      return (
        world.sql(`select count(*) ${asleep}`) === String(databases.length) &&
        others.every(({ said }) => said() !== '')
      );
    });
  }

  const allEnded = (which = clients) =>
    eventually('every client has ended', PATIENCE, () => which.every(({ ended }) => ended()));

  beforeAll(async () => {
    world = new World();
    await world.prepare();
  }, 3 * PATIENCE);
  afterAll(() => world.end());

  test(
    'when the role is given away in order; a member is still sent the WAL',
    async () => {
      await connect();
      const into = join(world.dir, 'received');
      const member = world.streaming(into);
      await eventually(
        'the member streams',
        PATIENCE,
        () => world.sql('select count(*) from pg_stat_replication') === '1',
      );
      stopAgent();
      expect(await world.close()).toBe(true);
      await allEnded();
      const file = world.sql(
        "select pg_walfile_name(pg_current_wal_lsn()) from pg_logical_emit_message(false, 'test', 'x')",
      );
      world.sql('select pg_switch_wal()');
      await eventually('the member has the last WAL', PATIENCE, () => existsSync(join(into, file)));
      expect(member.ended()).toBe(false);
    },
    4 * PATIENCE,
  );

  test(
    'when nobody renews: at the deadline',
    async () => {
      await connect();
      stopAgent();
      await allEnded();
    },
    4 * PATIENCE,
  );

  test(
    'when agent and helper are frozen, and only then the server is killed: by what the kernel lets pass',
    async () => {
      await connect();
      stopAgent();
      world.helper?.child.kill('SIGSTOP');
      await eventually('the kernel has shut the ports', PATIENCE, () => world.shut());
      world.killServer();
      await allEnded(clients.slice(0, 3));
      world.helper?.child.kill('SIGCONT');
      await allEnded();
      await world.startServer();
    },
    4 * PATIENCE,
  );

  test(
    'when agent and helper are frozen past the deadline and wake, and the server lives',
    async () => {
      await connect();
      stopAgent();
      world.helper?.child.kill('SIGSTOP');
      await eventually('the kernel has shut the ports', PATIENCE, () => world.shut());
      expect(clients.some(({ ended }) => ended())).toBe(false);
      world.helper?.child.kill('SIGCONT');
      await allEnded();
      expect(world.sql('select 1')).toBe('1');
    },
    4 * PATIENCE,
  );

  test(
    'when the helper was killed past the deadline: the next one ends it',
    async () => {
      await connect();
      stopAgent();
      world.helper?.child.kill('SIGSTOP');
      await eventually('the kernel has shut the ports', PATIENCE, () => world.shut());
      world.helper?.child.kill('SIGKILL');
      await world.startHelper();
      await allEnded();
    },
    4 * PATIENCE,
  );

  test(
    'and nobody does when helper and agent are restarted at once; what is shut stays shut',
    async () => {
      expect([await world.keeps(), world.shut()]).toEqual([false, true]);
      await connect();
      for (let i = 0; i < 3; i++) {
        stopAgent();
        world.helper?.child.kill('SIGTERM');
        await eventually('the helper has ended', PATIENCE, () => world.helper?.ended() ?? true);
        await world.startHelper();
        stopAgent = await world.renewing(true);
      }
      // Longer than any deadline that was told before.
      await new Promise((done) => setTimeout(done, 5000));
      expect(clients.filter(({ ended }) => ended()).map(({ said }) => said())).toEqual([]);
      stopAgent();
      expect(await world.close()).toBe(true);
      await allEnded();
    },
    4 * PATIENCE,
  );
});
