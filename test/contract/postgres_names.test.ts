/**
 * On real servers: of a node's keys only PostgreSQL's opens PostgreSQL, and what it opens is replication and
 * nothing else.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { type Ca, createCa } from '../../agent/platform/tls/ca.ts';
import { issueOwn, type PerService } from '../../agent/security/certificates.ts';
import { type AdmittedNode, replicationNames, withState } from '../../agent/security/names.ts';
import type { Pair, ServiceName } from '../../agent/security/store.ts';
import { stateRecord } from '../core/build.ts';
import {
  asServerUser,
  createGroup,
  eventually,
  joinStandby,
  type TestGroup,
  type TestServer,
} from '../fixtures/postgres.ts';

const done = { kind: 'done' } as const;
const MEMBERSHIP = { a: 'a.0a0a0a0a0a0a', b: 'b.0b0b0b0b0b0b' } as const;
type Node = keyof typeof MEMBERSHIP;

if (asServerUser(import.meta.path)) {
  describe('one name per service', () => {
    let group: TestGroup;
    let ca: Ca;
    let a: TestServer;
    let b: TestServer;
    const own = {} as Record<Node, PerService<Pair>>;
    const old = {} as Record<Node, PerService<Pair>>;

    const record = (node: Node, services: boolean): AdmittedNode => ({
      schema: 1,
      hostIp: '10.0.0.1',
      publicIp: null,
      apiPort: 1,
      postgresPort: 1,
      version: '1',
      options: { priority: 1, nofailover: false, maintenance: false },
      certificate: { name: MEMBERSHIP[node], fingerprint: '', ...(services ? { services } : {}) },
    });
    const members = replicationNames({ a: record('a', true), b: record('b', true) });
    const set = (server: TestServer, { certificate, key }: Pair, names: readonly string[]) =>
      server.pg.setCertificates({
        caPem: ca.certificate,
        certPem: certificate,
        keyPem: key,
        members: names,
      });

    /**
     * What a statement of the replication role says on `a`, made with this key; '' is a success without a
     * row.
     */
    function knock(pair: Pair, database: string, statement: string): string {
      const at = join(group.dir, 'knock');
      for (const [file, text] of [
        ['ca', ca.certificate],
        ['cert', pair.certificate],
        ['key', pair.key],
      ] as const)
        writeFileSync(`${at}.${file}`, text, { mode: 0o600 });
      const to = `host=a hostaddr=${a.options.host} port=${a.options.port} user=${a.options.replicationUser}`;
      const tls = `sslmode=verify-full sslrootcert=${at}.ca sslcert=${at}.cert sslkey=${at}.key`;
      const { stdout, stderr } = spawnSync(
        join(a.options.binDir, 'psql'),
        ['-X', '-w', '-A', '-t', '-c', statement, `${to} ${tls} ${database}`],
        { encoding: 'utf8', env: { ...process.env, HOME: '/nonexistent' } },
      );
      return `${stdout}${stderr}`.trim();
    }
    const doors = [
      ['replication=1', 'IDENTIFY_SYSTEM'],
      ['dbname=postgres', 'select 1'],
    ] as const;
    const REFUSED = /certificate authentication failed/;
    const senderPid = async (): Promise<unknown> =>
      (await a.sql("select pid from pg_stat_replication where application_name = 'b_c1'"))[0]?.pid;

    beforeAll(async () => {
      group = createGroup('pg-names');
      ca = await createCa('test');
      for (const node of ['a', 'b'] as const) {
        const names = { node, hostIp: '127.0.0.51', publicIp: null, datacenter: 'cloudify' };
        own[node] = await issueOwn(ca, names, MEMBERSHIP[node]);
        old[node] = await issueOwn(ca, names, MEMBERSHIP[node], { shared: true });
      }
      a = await group.server('a', { data: true, replicationAuth: 'certificate' });
      b = await group.server('b', { replicationAuth: 'certificate' });
      expect(await a.pg.adopt()).toEqual(done);
      expect(await a.pg.startPrimary(10_000)).toEqual(done);
      // As somebody may have left it.
      await a.sql(
        `create role ${a.options.replicationUser} login superuser createrole replication;
         grant pg_read_server_files, pg_execute_server_program to ${a.options.replicationUser};
         create table t (i int primary key)`,
      );
      expect(await set(a, own.a.postgres, members)).toEqual(done);
      expect(await set(b, own.b.postgres, members)).toEqual(done);
      await joinStandby(a, b);
    }, 120_000);
    afterAll(() => group.end());

    test('what a superuser was goes while its standby streams, and the standby is not cut', async () => {
      const before = await senderPid();
      const attributes = `select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication,
        (select count(*)::int from pg_auth_members m where m.member = r.oid) as groups
        from pg_roles r where rolname = '${a.options.replicationUser}'`;
      expect(await a.sql(attributes)).toMatchObject([{ rolsuper: true, groups: 2 }]);
      expect(await a.pg.ensureReplicationRole(5000)).toEqual(done);
      const bare = {
        rolsuper: false,
        rolcreaterole: false,
        rolcreatedb: false,
        rolbypassrls: false,
        rolreplication: true,
        groups: 0,
      };
      expect(await a.sql(attributes)).toMatchObject([bare]);
      expect(await senderPid()).toBe(before);
      await eventually(
        'the standby has it',
        30_000,
        async () => (await b.sql(attributes))[0]?.rolsuper === false,
      );
      // The next look writes nothing.
      const written = () =>
        a.sql(`select xmin::text from pg_authid where rolname = '${a.options.replicationUser}'
          union all select xmin::text from pg_proc where proname in ('pg_ls_dir', 'pg_read_binary_file')`);
      const rows = await written();
      expect(rows.length).toBeGreaterThan(4);
      expect(await a.pg.ensureReplicationRole(5000)).toEqual(done);
      expect(await written()).toEqual(rows);
    });

    test("Consul's key and the agent's are refused, on both members, for replication and for statements", () => {
      for (const node of ['a', 'b'] as const)
        for (const service of ['consul', 'agent'] as const satisfies ServiceName[])
          for (const [database, statement] of doors)
            expect(knock(own[node][service], database, statement)).toMatch(REFUSED);
    });

    test("PostgreSQL's own key replicates and reads what a rewind reads, and may nothing else", () => {
      const key = own.b.postgres;
      expect(knock(key, 'replication=1', 'IDENTIFY_SYSTEM')).toMatch(/^\d+\|1\|/);
      expect(knock(key, 'dbname=postgres', "select length(pg_read_binary_file('PG_VERSION')) > 0")).toBe('t');
      for (const statement of [
        "select pg_read_file('PG_VERSION')",
        "copy (select 1) to program 'true'",
        "create temp table f (l text); copy f from '/etc/hostname'",
        'create role more superuser',
        'create database more',
        'alter system set fsync = off',
        'select count(*) from t',
        "select lo_import('/etc/hostname')",
        'select pg_switch_wal()',
        'set role postgres',
      ])
        expect([statement, knock(key, 'dbname=postgres', statement)]).toEqual([
          statement,
          expect.stringMatching(/permission denied|must be (superuser|a superuser|a member)/),
        ]);
      expect(knock(key, 'dbname=postgres', "select pg_read_binary_file('/etc/hostname')")).toMatch(
        /absolute path not allowed/,
      );
      expect(knock(key, 'dbname=template1', 'select 1')).toMatch(/no pg_hba.conf entry|pg_hba.conf rejects/);
    });

    test('with these rights a diverged member is rewound, and copied anew', async () => {
      const signal = new AbortController().signal;
      expect(await b.pg.setUpstream(null, 10_000)).toEqual(done);
      expect(await b.pg.promote(10_000)).toMatchObject(done);
      await b.sql('create table foreign_to_b (i int)');
      await a.sql('create table only_on_a (i int)');
      expect((await b.pg.stop('fast', 20_000, true)).kind).toBe('stopped');
      expect(await b.pg.rewind(a.upstream, () => {}, signal)).toEqual(done);
      expect(await b.pg.setUpstream(a.upstream, 20_000)).toEqual(done);
      expect(await b.pg.startStandby(20_000)).toEqual(done);
      const has = async () =>
        (await b.sql("select 1 from pg_tables where tablename = 'only_on_a'")).length === 1;
      await eventually('b has what a wrote', 30_000, has);
      expect((await b.pg.stop('fast', 20_000, true)).kind).toBe('stopped');
      expect(await b.pg.basebackup(a.upstream, () => {}, signal)).toEqual(done);
      expect(await b.pg.setUpstream(a.upstream, 20_000)).toEqual(done);
      expect(await b.pg.startStandby(20_000)).toEqual(done);
      await eventually('b streams', 30_000, async () => (await b.pg.facts(10_000)).streaming);
    });

    test('a member of before is let in until it says that it has moved; then its old name is nobody', async () => {
      const state = (certificates: 'shared' | 'own') => stateRecord('b', { certificates });
      const before = replicationNames({
        a: record('a', true),
        b: withState(record('b', false), state('shared')),
      });
      expect(await set(a, own.a.postgres, before)).toEqual(done);
      const streams = async () => (await b.pg.facts(10_000)).streaming;
      const shown = async (name: string) =>
        (await a.sql(`select 1 from pg_stat_ssl where client_dn = '/CN=${name}'`)).length > 0;
      expect(await set(b, old.b.postgres, before)).toEqual(done);
      await eventually('by its old name', 30_000, async () => (await streams()) && shown(MEMBERSHIP.b));
      expect(knock(old.b.consul, 'replication=1', 'IDENTIFY_SYSTEM')).toMatch(/^\d+\|1\|/);

      // It renews while both names count, and says so afterwards.
      expect(await set(b, own.b.postgres, before)).toEqual(done);
      await eventually(
        'by its new name',
        30_000,
        async () => (await streams()) && shown(`postgres.${MEMBERSHIP.b}`),
      );
      const pid = await senderPid();
      const after = replicationNames({
        a: record('a', true),
        b: withState(record('b', false), state('own')),
      });
      expect(await set(a, own.a.postgres, after)).toEqual(done);
      expect(await senderPid()).toBe(pid);
      for (const service of ['consul', 'agent', 'postgres'] as const)
        expect(knock(old.b[service], 'replication=1', 'IDENTIFY_SYSTEM')).toMatch(REFUSED);
    });
  });
}
