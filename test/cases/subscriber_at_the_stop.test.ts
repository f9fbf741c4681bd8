/**
 * Input: a logical replication slot whose subscriber is connected and reads nothing; a clean stop, as in a
 *        switchover.
 * Right: it ends cleanly without the subscriber, whose slot keeps what it has not confirmed.
 * Source: reports of primaries that cannot be stopped because of a change data capture.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import {
  asServerUser,
  createGroup,
  eventually,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

if (asServerUser(import.meta.path)) {
  const done = { kind: 'done' } as const;
  const NEVER = 3_600_000;
  let group: TestGroup;
  let p: TestServer;
  let subscriber: Socket | undefined;

  const zero = (...words: string[]) => new TextEncoder().encode(words.map((word) => `${word}\0`).join(''));
  function message(head: string, body: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(head.length + 4 + body.length);
    bytes.set(new TextEncoder().encode(head));
    new DataView(bytes.buffer).setInt32(head.length, 4 + body.length);
    bytes.set(body, head.length + 4);
    return bytes;
  }

  /** Subscribes over the server's socket as its superuser, and reads up to the beginning of the copy. */
  async function subscribe(s: TestServer): Promise<Socket> {
    const { socketDir, port } = s.options;
    const socket = connect({ path: `${socketDir}/.s.PGSQL.${port}` });
    socket.on('error', () => {});
    let heard = '';
    socket.on('data', (chunk) => {
      heard += new TextDecoder('latin1').decode(chunk as Uint8Array);
    });
    const version = new Uint8Array([0, 3, 0, 0]);
    const words = zero('user', 'postgres', 'database', 'postgres', 'replication', 'database', '');
    socket.write(message('', new Uint8Array([...version, ...words])));
    // ReadyForQuery, idle.
    await eventually('it may ask', 30_000, () => heard.endsWith('Z\0\0\0\u0005I'));
    const query = `START_REPLICATION SLOT sub LOGICAL 0/0 (proto_version '1', publication_names 'all_of_it')`;
    heard = '';
    socket.write(message('Q', zero(query)));
    await eventually('the copy begins', 30_000, () => heard.startsWith('W'));
    socket.pause();
    return socket;
  }

  beforeAll(async () => {
    group = createGroup('subscriber');
    // Nothing but the agent ends a walsender that nobody reads from.
    p = await group.server('p', { data: true, walTimeout: NEVER, parameters: { wal_level: 'logical' } });
    expect(await p.pg.startPrimary(30_000)).toEqual(done);
    await p.sql('create table t (i int, pad text)');
    await p.sql('create publication all_of_it for all tables');
    await p.sql("select pg_create_logical_replication_slot('sub', 'pgoutput')");
  });

  afterAll(async () => {
    subscriber?.destroy();
    await group?.end();
  });

  test('a subscriber that reads nothing does not hold a clean stop up', async () => {
    subscriber = await subscribe(p);
    await p.sql('insert into t select i, repeat(md5(i::text), 60) from generate_series(1, 10000) as i');
    await eventually('nothing more goes out', 60_000, async () => {
      const [row] = await p.sql(
        "select wait_event as waits from pg_stat_activity where backend_type = 'walsender'",
      );
      return row?.waits === 'WalSenderWriteData';
    });
    expect(await p.pg.stop('fast', NEVER, false)).toMatchObject({ kind: 'stopped', clean: true });
    expect(await p.pg.startPrimary(30_000)).toEqual(done);
    const [slot] = await p.sql(
      "select count(*)::int as rows from pg_logical_slot_get_binary_changes('sub', null, null, 'proto_version', '1', 'publication_names', 'all_of_it')",
    );
    expect(Number(slot?.rows)).toBeGreaterThan(10_000);
  }, 110_000);
}
