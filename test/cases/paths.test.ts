/**
 * Input: a database, its state and its socket in folders like `it's a "small" one, (1) #2`; a comma in
 *        `postgres.socket_dir`.
 * Right: refused by the configuration before anything changes, or everything works: start, copy, replication
 *        by password file, rewind's settings.
 * Source: reports of managers whose folders were named by people.
 */
import { afterAll, expect, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkConfig } from '../../agent/config/index.ts';
import { asServerUser, createGroup, joinStandby } from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;

test('a comma in the socket’s folder is refused, and says why', () => {
  const result = checkConfig({ postgres: { socket_dir: '/run/a,b' } });
  expect(result.ok ? [] : result.problems).toEqual([
    {
      path: 'postgres.socket_dir',
      message: "must be one folder, without a comma in its name; it is '/run/a,b'",
    },
  ]);
});

if (asServerUser(import.meta.path)) {
  const group = createGroup('paths');
  afterAll(() => group.end());

  test('a server and its standby live in folders of whatever name', async () => {
    const place = (node: string) => {
      const odd = join(group.dir, `it's a  small one=1; (ü) #2 & more, ${node}`);
      const socketDir = join(group.dir, `${node} 's`);
      mkdirSync(odd, { recursive: true });
      // What the configuration takes, and no more.
      expect(
        checkConfig({ postgres: { data_dir: odd, socket_dir: socketDir }, paths: { state_dir: odd } }).ok,
      ).toBe(true);
      return {
        dataDir: join(odd, 'data'),
        confDir: join(odd, 'conf'),
        divergedDir: join(odd, 'd'),
        socketDir,
      };
    };
    const replicationAuth = { password: 'p:a\\s s' };
    const a = await group.server('a', { data: true, replicationAuth, ...place('a') });
    const b = await group.server('b', { replicationAuth, ...place('b') });
    expect(await a.pg.rehearse()).toEqual(done);
    expect(await a.pg.adopt()).toEqual(done);
    expect(await a.pg.startPrimary(20_000)).toEqual(done);
    expect(await a.pg.ensureReplicationRole(10_000)).toEqual(done);
    await joinStandby(a, b);
    expect(await b.pg.rehearse()).toEqual(done);
    expect(await b.sql('show data_directory')).toMatchObject([{ data_directory: b.options.dataDir }]);
    expect((await a.pg.facts(10_000)).role).toBe('primary');
  });
}
