import { describe, expect, test } from 'bun:test';
import {
  confValue,
  initialSettings,
  parseClusterConf,
  parseSyncList,
  partAutoConf,
  renderClusterConf,
  renderMainConf,
  renderSyncList,
} from '../../../agent/roles/postgres/conf.ts';
import { conninfo, conninfoTo, renderPassFile } from '../../../agent/roles/postgres/conninfo.ts';
import { hostOf } from '../../../agent/roles/postgres/facts.ts';
import { hbaRules, identRules } from '../../../agent/roles/postgres/hba.ts';
import { type PgOptions, pgDefaults } from '../../../agent/roles/postgres/options.ts';
import { slotName } from '../../../agent/roles/postgres/slot_name.ts';
import type { TlsSettings } from '../../../agent/roles/postgres/tls.ts';

const options = (over: Partial<PgOptions> = {}): PgOptions => ({
  ...pgDefaults,
  node: 'n1',
  binDir: '/usr/bin',
  dataDir: '/data',
  confDir: '/conf',
  socketDir: '/run/pg',
  host: '10.0.0.1',
  port: 5432,
  divergedDir: '/diverged',
  starter: { start: async () => {}, pid: () => null, kill: () => {}, onExit: () => {} },
  ...over,
});
const rules = (text: string | null) =>
  text === null ? null : text.split('\n').map((one, at) => ({ text: one, file: '/own', line: at + 1 }));
const join = (lines: { text: string }[]) => lines.map(({ text }) => text).join('\n');
type HbaOf = Parameters<typeof hbaRules>[1];
const renderHba = (o: PgOptions, s: HbaOf, original: string | null) => join(hbaRules(o, s, rules(original)));
const renderIdent = (o: PgOptions, tls: TlsSettings | undefined, original: string | null) =>
  join(identRules(o, tls, rules(original)));
const setting = (text: string, name: string) =>
  text
    .split('\n')
    .find((line) => line.startsWith(`${name} = `))
    ?.slice(name.length + 3);

describe('synchronous_standby_names', () => {
  test('names are quoted, so that capitals and dashes survive', () => {
    expect(renderSyncList({ names: ['node-A_1f', 'b_2'], k: 1 })).toBe('ANY 1 ("node-A_1f", "b_2")');
  });
  test.each([[null], [{ names: ['a'], k: 1 }], [{ names: ['a"b, c', 'd'], k: 2 }]])(
    '%p is read back as written',
    (list) => {
      expect(parseSyncList(renderSyncList(list))).toEqual(list);
    },
  );
  test.each(['a', '*', 'FIRST 1 ("a")', 'ANY 1 (a)', 'ANY 1 ("a" "b")'])(
    "somebody else's list %p throws",
    (text) => {
      expect(() => parseSyncList(text)).toThrow('not a list of ours');
    },
  );
});

describe('cluster.conf', () => {
  const settings = {
    ...initialSettings(options()),
    upstream: { node: 'n2', host: '10.0.0.2', port: 5433 },
    identity: 'n1_ab',
    syncList: { names: ["it's", 'b'], k: 1 },
  };
  const text = renderClusterConf(options(), settings);

  test('it carries what it was made from', () => expect(parseClusterConf(text)).toEqual(settings));
  test('a missing, foreign or torn file carries nothing', () => {
    expect(parseClusterConf(null)).toBeNull();
    expect(parseClusterConf('port = 1\n')).toBeNull();
    expect(parseClusterConf('# settings {"generation": "1", \n')).toBeNull();
    expect(parseClusterConf('# settings {"generation": 1}\n')).toBeNull();
  });
  test('quotes and backslashes in values are doubled', () => {
    expect(confValue("a'b\\c")).toBe("'a''b\\\\c'");
    expect(setting(text, 'synchronous_standby_names')).toBe(`'ANY 1 ("it''s", "b")'`);
  });
  test('with an upstream the slot and the name are there; cut, both are empty', () => {
    expect(setting(text, 'primary_conninfo')).toContain('host=10.0.0.2 port=5433');
    expect(setting(text, 'primary_conninfo')).toContain('application_name=n1_ab');
    expect(setting(text, 'primary_slot_name')).toBe("'agent_n1'");
    const cut = renderClusterConf(options(), { ...settings, upstream: null });
    expect(setting(cut, 'primary_conninfo')).toBe("''");
    expect(setting(cut, 'primary_slot_name')).toBe("''");
  });
  test('a backend crash does not restart the server by itself, unfenced (PROTOCOL D.7)', () => {
    expect(setting(text, 'restart_after_crash')).toBe("'off'");
  });
  test('receivers retry every 100 ms (PROTOCOL D.7)', () => {
    expect(setting(text, 'wal_retrieve_retry_interval')).toBe("'100ms'");
  });
  test("the manager's own configuration comes first", () => {
    expect(renderMainConf(options(), '/etc/pg.conf')).toMatch(
      /include = '\/etc\/pg.conf'\ninclude = '\/conf\/cluster.conf'/,
    );
    expect(renderMainConf(options(), null)).not.toContain('/etc');
  });
});

describe('postgresql.auto.conf', () => {
  test('loses what the agent owns and any recovery target, keeps the rest', () => {
    const text =
      "# comment\nwork_mem = '1MB'\nPort = '1'\n primary_conninfo = 'x'\nrecovery_target_time = 'y'\nsynchronous_standby_names='*'\n";
    expect(partAutoConf(text, options())).toEqual({
      kept: "# comment\nwork_mem = '1MB'\n",
      taken: [
        "Port = '1'",
        " primary_conninfo = 'x'",
        "recovery_target_time = 'y'",
        "synchronous_standby_names='*'",
      ],
    });
  });
});

describe('pg_hba.conf', () => {
  const lines = (text: string) => text.split('\n').filter((l) => l !== '' && !l.startsWith('#'));
  test('fenced: the agent on the socket, replication, and nobody else', () => {
    expect(
      lines(
        renderHba(
          options({ replicationAuth: { password: 'x' } }),
          { fenced: true },
          'host all all all trust',
        ),
      ),
    ).toEqual([
      'local all "postgres" trust',
      'local replication "postgres" trust',
      'host replication "cloudify_replication" all scram-sha-256',
      'host "postgres" "cloudify_replication" all scram-sha-256',
      'local all all reject',
      'host all all all reject',
    ]);
  });
  test("open: the manager's own lines after the agent's, or those of the config, or everybody with a password", () => {
    expect(lines(renderHba(options(), { fenced: false }, 'host app app 10.0.0.0/8 md5\n')).slice(4)).toEqual([
      'host app app 10.0.0.0/8 md5',
    ]);
    expect(
      lines(
        renderHba(options({ clientHba: ['local all all peer'] }), { fenced: false }, 'host x x all md5'),
      ).slice(4),
    ).toEqual(['local all all peer']);
    expect(lines(renderHba(options(), { fenced: false }, null)).slice(4)).toEqual([
      'host all all all scram-sha-256',
    ]);
  });
});

describe('on a VM', () => {
  const vm = options({ localAuth: { users: ['cfyuser', 'postgres'] }, replicationAuth: 'certificate' });
  const lines = (text: string) => text.split('\n').filter((l) => l !== '' && !l.startsWith('#'));
  const tls = { id: 'x', members: ['n1.ab', 'n2.cd'] };

  test('the socket is for the agent alone, whatever the manager had there; members come by certificate', () => {
    const original = 'local all all peer\nhost all all 127.0.0.1/32 md5\n  LOCAL  x x trust\n';
    expect(lines(renderHba(vm, { fenced: false, tls }, original))).toEqual([
      'local all "postgres" peer map=cloudify_agent',
      'local replication "postgres" peer map=cloudify_agent',
      'hostssl replication "cloudify_replication" all cert map=cloudify_members',
      'hostssl "postgres" "cloudify_replication" all cert map=cloudify_members',
      'host all,replication "cloudify_replication" all reject',
      'host all all 127.0.0.1/32 md5',
    ]);
  });
  test('no member is let in before there are certificates', () => {
    expect(lines(renderHba(vm, { fenced: true }, null))).toEqual([
      'local all "postgres" peer map=cloudify_agent',
      'local replication "postgres" peer map=cloudify_agent',
      'host all,replication "cloudify_replication" all reject',
      'local all all reject',
      'host all all all reject',
    ]);
  });
  test('the maps name the OS users, the members of now, and what the manager had', () => {
    expect(lines(renderIdent(vm, tls, 'own a b\n'))).toEqual([
      'cloudify_agent "cfyuser" "postgres"',
      'cloudify_agent "postgres" "postgres"',
      'cloudify_members "n1.ab" "cloudify_replication"',
      'cloudify_members "n2.cd" "cloudify_replication"',
      'own a b',
    ]);
    expect(lines(renderIdent(options(), undefined, null))).toEqual([]);
  });
});

describe('connections to other members', () => {
  test('values are quoted where needed', () => {
    expect(conninfo({ host: '::1', application_name: "a 'b\\" })).toBe(
      "host=::1 application_name='a \\'b\\\\'",
    );
  });
  test('the password is in the passfile, never in the connection string', () => {
    const o = options({ replicationAuth: { password: 'a:b\\c' } });
    expect(conninfoTo(o, undefined, { node: 'x', host: 'h', port: 1 }, 'n')).not.toContain('a:b');
    expect(conninfoTo(o, undefined, { node: 'x', host: 'h', port: 1 }, 'n')).toContain(
      'passfile=/conf/passfile',
    );
    expect(renderPassFile(o)).toBe('*:*:*:cloudify_replication:a\\:b\\\\c\n');
    expect(renderPassFile(options())).toBe('');
  });
  test('by certificate it is the node that is verified, and its address is found again', () => {
    const o = options({ replicationAuth: 'certificate' });
    const text = conninfoTo(o, { id: 'ab', members: [] }, { node: 'n-2', host: '10.0.0.2', port: 1 }, 'n');
    expect(text).toContain('host=n-2 hostaddr=10.0.0.2 ');
    expect(text).toContain('sslmode=verify-full sslrootcert=/conf/tls/ab/ca.pem');
    expect(hostOf(text)).toBe('10.0.0.2');
  });
  test('the host is found again, quoted or not', () => {
    expect(hostOf('user=x host=10.0.0.2 port=1')).toBe('10.0.0.2');
    expect(hostOf("host='a b' port=1")).toBe('a b');
    expect(hostOf('')).toBeNull();
  });
});

describe('slot names', () => {
  test('plain names are kept, others get a hash, so that no two nodes share one', () => {
    expect(slotName('node_1')).toBe('agent_node_1');
    expect(slotName('node-1')).toMatch(/^agent_node_1_[0-9a-f]{8}$/);
    expect(slotName('Node_1')).not.toBe(slotName('node-1'));
    expect(slotName('ü'.repeat(200))).toMatch(/^[a-z0-9_]{1,63}$/);
  });
});
