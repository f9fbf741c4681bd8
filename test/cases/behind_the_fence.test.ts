/**
 * Input: `update_process_title=off`; a client at the password prompt, or one that has said nothing yet; then
 *        a fence by pg_hba.
 * Right: nobody who was connecting gets in behind the fence, and no other process of the server is ended.
 * Source: reports of sessions that outlive a change of pg_hba.conf.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { alive } from '../../agent/platform/procfs.ts';
import { childrenOf, postmasterPid, processTitle } from '../../agent/roles/postgres/process.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  findBinDir,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

if (asServerUser(import.meta.path)) {
  const done = { kind: 'done' } as const;
  let group: TestGroup;
  /** A worker that stays in no view of the server's, where the distribution has it. */
  const prewarm = existsSync(join(findBinDir(), '..', 'lib', 'pg_prewarm.so'));

  /** A client that goes as far as the server's first word, or as its own silence, and then waits. */
  async function half(to: { host: string; port: number } | { path: string }, says: Uint8Array | null) {
    const socket: Socket = await new Promise((resolve, reject) => {
      const opening = connect(to, () => resolve(opening));
      opening.once('error', reject);
    });
    const state = { heard: '', closed: false, end: () => socket.destroy() };
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      state.heard += new TextDecoder('latin1').decode(chunk as Uint8Array);
    });
    socket.on('close', () => {
      state.closed = true;
    });
    if (says !== null) socket.write(says);
    return state;
  }

  function startup(user: string): Uint8Array {
    const words = new TextEncoder().encode(['user', user, 'database', 'postgres', '', ''].join('\0'));
    const message = new Uint8Array(8 + words.length);
    const view = new DataView(message.buffer);
    view.setInt32(0, message.length);
    view.setInt32(4, 196_608);
    message.set(words, 8);
    return message;
  }

  async function server(node: string, title: 'on' | 'off'): Promise<TestServer> {
    const made = await group.server(node, {
      data: true,
      clientHba: ['host all all all scram-sha-256'],
      parameters: {
        update_process_title: title,
        logging_collector: 'on',
        ...(prewarm ? { shared_preload_libraries: 'pg_prewarm' } : {}),
      },
    });
    expect(await made.pg.startPrimary(30_000)).toEqual(done);
    await made.sql("create role somebody login password 'known'");
    return made;
  }

  beforeAll(() => {
    group = createGroup('behind-fence');
  });
  afterAll(async () => {
    await group?.end();
  });

  test.each(['off', 'on'] as const)('update_process_title=%s', async (title) => {
    const s = await server(title, title);
    const { host, port, socketDir } = s.options;
    expect(await s.pg.unfence(10_000)).toEqual(done);
    const tcp = { host, port };
    const clients = {
      'at the prompt': await half(tcp, startup('somebody')),
      'silent, by TCP': await half(tcp, null),
      'silent, by the socket': await half({ path: `${socketDir}/.s.PGSQL.${port}` }, null),
    };
    try {
      const prompt = clients['at the prompt'];
      await eventually('the server asks for the password', 30_000, () => prompt.heard.length > 8);
      // AuthenticationSASL, not AuthenticationOk.
      expect([prompt.heard[0], prompt.heard.charCodeAt(8)]).toEqual(['R', 10]);
      const postmaster = (await postmasterPid(s.options)) ?? 0;
      await eventually('it has a process for each', 30_000, async () => {
        // 18 shows those that have not logged in, without a name.
        const rows = await s.sql(
          "select pid from pg_stat_activity where usename is not null or backend_type <> 'client backend'",
        );
        const known = new Set(rows.map(({ pid }) => Number(pid)));
        return childrenOf(postmaster).filter(({ pid }) => !known.has(pid)).length >= (prewarm ? 5 : 4);
      });
      const others = childrenOf(postmaster).filter(({ pid }) =>
        /logger|prewarm|checkpointer|launcher|writer/.test(processTitle(pid)),
      );
      expect(others.length).toBeGreaterThanOrEqual(prewarm ? 6 : 5);

      expect(await s.pg.fence(10_000)).toEqual(done);
      for (const [name, client] of Object.entries(clients))
        await eventually(`who is ${name} is shut out`, 30_000, () => client.closed);
      expect(others.filter(({ pid, startTime }) => !alive(pid, startTime))).toEqual([]);
      expect(await s.sql('select 1 as i')).toEqual([{ i: 1 }]);
    } finally {
      for (const client of Object.values(clients)) client.end();
    }
  });
}
