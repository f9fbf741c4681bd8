/**
 * Input: `postgres.max_connections` raised on the active first, with its standbys running.
 * Right: a standby that has less stops replaying for good and could not be promoted: it is started again with
 *        as much, by itself.
 * Source: reports of clusters that no longer failed over after max_connections was raised on the primary
 *        alone.
 */
import { afterAll, expect, test } from 'bun:test';
import { createPostgres } from '../../agent/roles/postgres/index.ts';
import { asServerUser, createGroup, eventually, joinStandby } from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const LONG = 30_000;

if (asServerUser(import.meta.path)) {
  const group = createGroup('raised');
  afterAll(() => group.end());

  test('a standby follows a raised limit, and is promoted after it', async () => {
    const a = await group.server('a', { data: true });
    const b = await group.server('b');
    expect(await a.pg.startPrimary(LONG)).toEqual(done);
    expect(await a.pg.ensureReplicationRole(LONG)).toEqual(done);
    await joinStandby(a, b);
    const paused = async () => (await b.sql('select pg_is_wal_replay_paused() as p'))[0]?.p === true;

    // One that somebody has paused on purpose is left alone.
    await b.sql('select pg_wal_replay_pause()');
    expect(await b.pg.holdSettings(5000)).toMatchObject(done);
    expect(await paused()).toBe(true);
    await b.sql('select pg_wal_replay_resume()');

    const raised = createPostgres({
      ...a.options,
      parameters: { ...a.options.parameters, max_connections: '90' },
    });
    expect(await raised.stop('fast', LONG, false)).toMatchObject({ kind: 'stopped' });
    expect(await raised.startPrimary(LONG)).toEqual(done);
    expect(await a.sql('show max_connections')).toMatchObject([{ max_connections: '90' }]);
    await eventually('it no longer replays', LONG, paused);

    let lost = 0;
    b.pg.onLost(() => lost++);
    expect(await b.pg.holdSettings(5000)).toMatchObject(done);
    await eventually(
      'it ended, and its agent is told',
      LONG,
      () => b.options.starter.pid() === null && lost === 1,
    );
    expect(await b.pg.startStandby(LONG)).toEqual(done);
    await eventually('it streams', LONG, async () => (await b.pg.facts(10_000)).streaming);
    expect(await b.sql('show max_connections')).toMatchObject([{ max_connections: '90' }]);
    await raised.close();
    expect(await a.pg.stop('fast', LONG, false)).toMatchObject({ kind: 'stopped' });
    expect(await b.pg.setUpstream(null, LONG)).toEqual(done);
    expect(await b.pg.promote(LONG)).toMatchObject(done);
  }, 180_000);
}
