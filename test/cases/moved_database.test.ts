/**
 * Input: a manager whose database is on port 5433, listens on '*', and has its socket in another folder than
 *        the agent's; or has max_connections = 8.
 * Right: `doctor` and `start` refuse before anything changes, and name the line and what to set in
 *        agent.yaml; nothing is moved in silence.
 * Source: reports of applications that lost their database when it was put under a cluster manager.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { examine } from '../../agent/roles/postgres/examine.ts';
import { takenFile } from '../../agent/roles/postgres/originals.ts';
import { asServerUser, createGroup, type TestGroup, type TestServer } from '../fixtures/postgres.ts';

if (asServerUser(import.meta.path)) {
  describe("the manager's own settings", () => {
    let group: TestGroup;
    let a: TestServer;
    let conf = '';
    let sample = '';
    let line = 0;
    beforeAll(async () => {
      group = createGroup('moved');
      a = await group.server('a', { data: true, parameters: {} });
      delete a.options.parameters?.max_connections;
      conf = join(a.options.dataDir, 'postgresql.conf');
      // What initdb writes of its own accord.
      sample = readFileSync(conf, 'utf8').replace(/^max_connections.*$/m, '#');
      line = sample.split('\n').length;
    });
    afterAll(() => group.end());
    const set = (text: string) => writeFileSync(conf, `${sample}${text}\n`);

    test('are named, each with the line and what to set', async () => {
      const { host, port, socketDir } = a.options;
      set(
        "port = 5433\nlisten_addresses = '*'\nunix_socket_directories = '/tmp, /var/tmp'\nmax_connections = 8",
      );
      expect(await examine(a.options)).toEqual([
        {
          what: `clients find this database at port = '5433' (${conf}, line ${line}); it would be moved to port ${port}`,
          mend: `write the line 'port: 5433' under 'postgres:' in agent.yaml of every manager, or port = ${port} in ${conf}`,
        },
        {
          what: `this database listens on listen_addresses = '*' (${conf}, line ${line + 1}); it would listen on ${host} alone`,
          mend: `write the line 'listen: ["0.0.0.0", "::"]' under 'postgres:' in agent.yaml, or 'listen: ["${host}"]' there if that is enough`,
        },
        {
          what: `clients find the socket of this database at unix_socket_directories = '/tmp, /var/tmp' (${conf}, line ${line + 2}); it would be moved to ${socketDir}`,
          mend: `write the line 'socket_dir: "/tmp"' under 'postgres:' in agent.yaml, or unix_socket_directories = '${socketDir}' in ${conf}`,
        },
        {
          what: `max_connections is 8 (${conf}, line ${line + 3}); the cluster keeps 8 of them for itself, and the server does not start with fewer than 9`,
          mend: 'set max_connections to 16 or more there',
        },
      ]);
    });

    test.each([
      ['0.0.0.0', '["0.0.0.0"]'],
      ['::, 10.9.8.7', '["::", "HOST", "10.9.8.7"]'],
      ['manager.example, HOST', '["HOST"]'],
      ['localhost, HOST', null],
    ])('an address it listens on is not given up: %s', async (listens, wanted) => {
      const own = (text: string) => text.replaceAll('HOST', a.options.host);
      set(own(`listen_addresses = '${listens}'`));
      const mends = (await examine(a.options)).map(({ mend }) => mend);
      if (wanted === null) expect(mends).toEqual([]);
      else
        expect(mends).toEqual([
          expect.stringContaining(
            own(`write the line 'listen: ${wanted}' under 'postgres:' in agent.yaml, or`),
          ),
        ]);
    });

    test('count by their last word, which is that of ALTER SYSTEM, also once a start has taken it out', async () => {
      const { port } = a.options;
      set(`port = ${port}`);
      appendFileSync(join(a.options.dataDir, 'postgresql.auto.conf'), "port = '5434'\n");
      expect(await a.pg.adopt()).toEqual({ kind: 'done' });
      expect((await examine(a.options)).map(({ mend }) => mend)).toEqual([
        `write the line 'port: 5434' under 'postgres:' in agent.yaml of every manager, or port = ${port} in ${takenFile(a.options)}`,
      ]);
    });
  });
}
