/**
 * Replication by certificate on real servers: members come in, everybody else does not, and a removed one
 * goes out.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { conninfoTo } from '../../agent/roles/postgres/conninfo.ts';
import type { Certificates } from '../../agent/roles/postgres/port.ts';
import { authority } from '../fixtures/openssl.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';
import { expectAeadOnly } from '../fixtures/s_client.ts';

const done = { kind: 'done' } as const;

if (asServerUser(import.meta.path)) {
  describe('members with certificates', () => {
    let group: TestGroup;
    let a: TestServer;
    let b: TestServer;
    let issue: ReturnType<typeof authority>;
    let certificateOf: Record<'a' | 'b' | 'x', Omit<Certificates, 'members'>>;
    const both = ['a.1', 'b.1'];
    const by = { replicationAuth: 'certificate' } as const;
    const senders = async () =>
      (await a.sql('select application_name as name from pg_stat_replication order by 1')).map((r) => r.name);
    /** What a connection of the replication role says, made as a stranger may make it. */
    const knock = (text: string): string =>
      spawnSync(
        join(a.options.binDir, 'psql'),
        ['-X', '-w', '-A', '-t', '-c', 'IDENTIFY_SYSTEM', `${text} replication=1`],
        {
          encoding: 'utf8',
          env: { ...process.env, HOME: '/nonexistent' },
        },
      ).stderr;

    beforeAll(async () => {
      group = createGroup('pg-tls');
      issue = authority(group.dir, 'ca');
      certificateOf = { a: issue('a', '1'), b: issue('b', '1'), x: authority(group.dir, 'other')('b', '1') };
      a = await group.server('a', { data: true, ...by });
      b = await group.server('b', by);
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(20_000)).toEqual(done);
      expect(await a.pg.ensureReplicationRole(2000)).toEqual(done);
      await a.sql('create table t (i int primary key)');
    });
    afterAll(() => group.end());

    test('before there are certificates no member is let in', async () => {
      const outcome = await b.pg.basebackup(a.upstream, () => {}, new AbortController().signal);
      expect(outcome).toMatchObject({ kind: 'failed', why: expect.stringContaining('pg_hba') });
    });

    test('set on the running server they are in force at once, without a restart, and can be set again', async () => {
      const [before] = await a.sql('select pg_postmaster_start_time()::text as t');
      expect(await a.pg.setCertificates({ ...certificateOf.a, members: both })).toEqual(done);
      expect(await a.sql('show ssl')).toMatchObject([{ ssl: 'on' }]);
      const conf = readFileSync(join(a.options.confDir, 'cluster.conf'), 'utf8');
      expect(await a.pg.setCertificates({ ...certificateOf.a, members: [...both].reverse() })).toEqual(done);
      expect(readFileSync(join(a.options.confDir, 'cluster.conf'), 'utf8')).toBe(conf);
      expect(await a.sql('select pg_postmaster_start_time()::text as t')).toMatchObject([before ?? {}]);
      const [set = ''] = readdirSync(join(a.options.confDir, 'tls'));
      expect(statSync(join(a.options.confDir, 'tls', set, 'key.pem')).mode & 0o777).toBe(0o600);
    });

    test('a member copies and streams by certificate', async () => {
      expect(await b.pg.setCertificates({ ...certificateOf.b, members: both })).toEqual(done);
      await joinStandby(a, b);
      expect(await b.pg.facts(10_000)).toMatchObject({ streaming: true, upstreamHost: a.options.host });
      const [row] = await a.sql(
        'select s.ssl, s.client_dn from pg_stat_replication r join pg_stat_ssl s using (pid)',
      );
      expect(row).toMatchObject({ ssl: true, client_dn: '/CN=b.1' });
    });

    test('TLS is 1.2 with AEAD or 1.3, and nothing older is agreed to', async () => {
      await expectAeadOnly(`${a.options.host}:${a.options.port}`, ['-starttls', 'postgres']);
    }, 120_000);

    test('no certificate, no TLS, a foreign one and another name of the server are refused', async () => {
      const at = `host=a hostaddr=${a.options.host} port=${a.options.port} user=cloudify_replication`;
      expect(knock(`${at} sslmode=disable`)).toMatch(/pg_hba.conf rejects/);
      expect(knock(`${at} sslmode=require`)).toMatch(/valid client certificate|certificate required/);
      const stranger = await group.server('x', by);
      expect(await stranger.pg.setCertificates({ ...certificateOf.x, members: both })).toEqual(done);
      const outcome = await stranger.pg.basebackup(a.upstream, () => {}, new AbortController().signal);
      expect(outcome).toMatchObject({
        kind: 'failed',
        why: expect.stringContaining('certificate verify failed'),
      });
      const forged = { ...certificateOf.x, caPem: certificateOf.b.caPem };
      expect(await stranger.pg.setCertificates({ ...forged, members: both })).toEqual(done);
      const other = await stranger.pg.basebackup(a.upstream, () => {}, new AbortController().signal);
      expect(other).toMatchObject({ kind: 'failed', why: expect.stringContaining('unknown ca') });
      expect(await stranger.pg.setCertificates({ ...issue('b', '1', -1), members: both })).toEqual(done);
      const late = await stranger.pg.basebackup(a.upstream, () => {}, new AbortController().signal);
      expect(late).toMatchObject({ kind: 'failed', why: expect.stringMatching(/expired/) });
      // The right authority, another's name: the node that answers is not the one that was meant.
      const wrong = conninfoTo(
        b.options,
        { id: readdirSync(join(b.options.confDir, 'tls'))[0] ?? '', members: [] },
        { ...a.upstream, node: 'c' },
        'x',
      );
      expect(knock(wrong)).toMatch(/does not match host name/);
      const fitting = wrong.replace('host=c ', 'host=a ');
      expect(knock(fitting)).toBe('');
    });

    test('renewed on both sides they replace the old ones, and the standby goes on', async () => {
      expect(await a.pg.setCertificates({ ...issue('a', '2'), members: ['a.2', 'b.1', 'b.2'] })).toEqual(
        done,
      );
      expect(await b.pg.setCertificates({ ...issue('b', '2'), members: ['a.2', 'b.2'] })).toEqual(done);
      await eventually(
        'b streams by its new one',
        30_000,
        async () =>
          (await a.sql("select 1 from pg_stat_ssl where client_dn = '/CN=b.2'")).length === 1 &&
          (await b.pg.facts(10_000)).streaming,
      );
      expect(readdirSync(join(a.options.confDir, 'tls')).length).toBe(1);
    });

    test('a removed member is put out at once and does not come back in', async () => {
      expect(await senders()).toEqual(['b_c1']);
      expect(await a.pg.setCertificates({ ...issue('a', '3'), members: ['a.3'] })).toEqual(done);
      expect(await senders()).toEqual([]);
      const outcome = await b.pg.stop('fast', 5000, true);
      expect(outcome.kind).toBe('stopped');
      const again = await b.pg.basebackup(a.upstream, () => {}, new AbortController().signal);
      expect(again).toMatchObject({
        kind: 'failed',
        why: expect.stringMatching(/certificate authentication failed/),
      });
      expect(await senders()).toEqual([]);
    });

    test('a diverged member is rewound by certificate', async () => {
      const members = ['a.3', 'b.2'];
      expect(await a.pg.setCertificates({ ...issue('a', '3'), members })).toEqual(done);
      expect(await b.pg.setUpstream(null, 20_000)).toEqual(done);
      expect(await b.pg.startStandby(10_000)).toEqual(done);
      expect(await b.pg.promote(5000)).toMatchObject(done);
      await b.sql('create table foreign_to_b (i int)');
      await a.sql('create table only_on_a (i int)');
      expect((await b.pg.stop('fast', 5000, true)).kind).toBe('stopped');
      expect(await b.pg.rewind(a.upstream, () => {}, new AbortController().signal)).toEqual(done);
      expect(await b.pg.setUpstream(a.upstream, 20_000)).toEqual(done);
      expect(await b.pg.startStandby(10_000)).toEqual(done);
      await eventually(
        'b has what a wrote',
        30_000,
        async () => (await b.sql("select 1 from pg_tables where tablename = 'only_on_a'")).length === 1,
      );
    });

    test('a session by a root that is trusted no more is ended; while both are trusted it goes on', async () => {
      const members = ['a.4', 'b.2'];
      const [old, fresh] = [issue('a', '4'), authority(group.dir, 'fresh')('a', '4')];
      const sessions = () => a.sql('select pid from pg_stat_replication');
      const before = await sessions();
      expect(before).toHaveLength(1);
      const both = { ...old, caPem: `${fresh.caPem}${old.caPem}` };
      expect(await a.pg.setCertificates({ ...both, members })).toEqual(done);
      expect(await sessions()).toEqual(before);
      expect(await a.pg.setCertificates({ ...fresh, members })).toEqual(done);
      expect(await sessions()).toEqual([]);
    });
  });
}
