import { describe, expect, test } from 'bun:test';
import { makeConfig } from '../../agent/config/index.ts';
import { POLICY_FILE } from '../../agent/trampoline/names.ts';
import { parsePolicy, renderPolicy, rootPolicyOf } from '../../agent/trampoline/policy.ts';
import { runTrampoline } from '../../agent/trampoline/run.ts';
import { config, fakeRoot, policy } from './fake_root.ts';

const call = (words: string, root = fakeRoot()) => ({
  code: runTrampoline(words.split(' ').filter(Boolean), root),
  root,
});

describe('a call that the policy names', () => {
  test('files a start as a job, after the failures before are forgotten', () => {
    const { code, root } = call('service start rabbitmq-server.service');
    expect(code).toBe(0);
    expect(root.ran).toEqual([
      'systemctl reset-failed -- rabbitmq-server.service',
      'systemctl start --no-block -- rabbitmq-server.service',
    ]);
    expect(root.logged).toMatchObject([
      { outcome: 'done', caller: 'cfyuser', call: ['service', 'start', 'rabbitmq-server.service'] },
    ]);
  });

  test('kills the whole unit, not its main process alone', () => {
    const { root } = call('service kill cloudify-consul.service');
    expect(root.ran).toEqual(['systemctl kill --kill-who=all --signal=SIGKILL -- cloudify-consul.service']);
  });

  test('applies the rules of a role as root rendered them, v4 and v6, and leaves other rules', () => {
    const dir = policy.firewallDir;
    const { code, root } = call(
      'firewall fenced',
      fakeRoot({ files: { [`${dir}/fenced.v4`]: 'four', [`${dir}/fenced.v6`]: 'six' } }),
    );
    expect(code).toBe(0);
    expect(root.ran.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'ipset list',
      'iptables-restore --noflush',
      'ip6tables-restore --noflush',
    ]);
    expect(root.inputs).toEqual(['four', 'six']);
  });

  test('makes the sets that the rules name where the boot has not, and leaves those that are there', () => {
    const dir = policy.firewallDir;
    const files = { [`${dir}/fenced.v4`]: 'four', [`${dir}/fenced.v6`]: 'six', [`${dir}/sets`]: 'sets' };
    const answer = (line: string) => (line.startsWith('ipset list') ? { code: 1 } : {});
    const { code, root } = call('firewall fenced', fakeRoot({ files, answer }));
    expect([code, root.inputs]).toEqual([0, ['sets', 'four', 'six']]);
  });

  test('tries the v6 rules though the v4 ones failed, and says what failed', () => {
    const dir = policy.firewallDir;
    const files = { [`${dir}/fenced.v4`]: 'four', [`${dir}/fenced.v6`]: 'six' };
    const answer = (line: string) =>
      line.startsWith('iptables') ? { code: 2, stderr: 'line 3 failed' } : {};
    const { code, root } = call('firewall fenced', fakeRoot({ files, answer }));
    expect([code, root.ran.length]).toEqual([1, 3]);
    expect(root.logged).toMatchObject([{ outcome: 'failed', why: 'line 3 failed' }]);
  });

  test('exchanges the sets of peers, each family its own', () => {
    const { code, root } = call('peers 10.0.0.1 fd00::2');
    expect(code).toBe(0);
    expect(root.inputs[0]).toContain(
      'add cloudify-peers4-new 10.0.0.1\nswap cloudify-peers4-new cloudify-peers4\n',
    );
    expect(root.inputs[0]).toContain(
      'add cloudify-peers6-new fd00::2\nswap cloudify-peers6-new cloudify-peers6\n',
    );
  });

  test('empties the Consul data as their owner, and only while Consul stands', () => {
    const running = call('consul wipe', fakeRoot({ answer: () => ({ stdout: 'active\n' }) }));
    expect([running.code, running.root.ran.length]).toEqual([2, 1]);
    const { code, root } = call(
      'consul wipe',
      fakeRoot({ answer: () => ({ code: 3, stdout: 'inactive\n' }) }),
    );
    expect(root.ran[1]).toBe(
      'setpriv --reuid=cfyuser_consul --regid=cfyuser_consul --clear-groups --no-new-privs -- ' +
        '/usr/bin/find /var/lib/cloudify/consul -xdev -mindepth 1 -delete',
    );
    expect(code).toBe(1);
    const files = call('files wipe', fakeRoot({ answer: () => ({ stdout: 'inactive\n' }) })).root.ran[1];
    expect(files).toContain('--reuid=cfyuser_syncthing');
    expect(files).toContain('/var/lib/cloudify/syncthing -xdev -mindepth 1 -delete');
  });

  test('that root makes itself, without sudo, is carried out', () => {
    expect(call('service stop cloudify-consul.service', fakeRoot({ user: undefined })).code).toBe(0);
  });
});

describe('refused, with exit code 2, a log line and nothing run', () => {
  const refused = (words: string | string[], root = fakeRoot()) => {
    const argv = typeof words === 'string' ? words.split(' ').filter(Boolean) : words;
    expect(runTrampoline(argv, root)).toBe(2);
    expect(root.ran).toEqual([]);
    expect(root.logged).toMatchObject([{ outcome: 'refused' }]);
    return root.logged[0]?.why;
  };

  const calls: [string, string | string[]][] = [
    ['nothing', ''],
    ['an unknown verb', 'shell id'],
    ['a verb in capitals', 'SERVICE start cloudify-consul.service'],
    ['a verb of an object’s prototype', 'constructor'],
    ['another unit', 'service start ssh.service'],
    ['a unit as an option', 'service start --root=/tmp'],
    ['an option for a unit', 'service status --help'],
    ['a unit with a path', 'service start /tmp/cloudify-consul.service'],
    ['a unit and a command', ['service', 'start', 'cloudify-consul.service; id']],
    ['a unit with a line end', ['service', 'start', 'cloudify-consul.service\n']],
    ['a unit with a zero byte', ['service', 'start', 'cloudify-consul.service\0']],
    ['a pattern', 'service stop *'],
    ['an unlisted action', 'service enable cloudify-consul.service'],
    ['one argument too many', 'service start cloudify-consul.service ssh.service'],
    ['the distribution’s unit by itself', 'service start postgresql.service'],
    ['a role with a path', 'firewall ../../tmp/evil'],
    ['an unknown role', 'firewall open'],
    ['an address with a command', ['peers', '10.0.0.1\nflush']],
    ['an address with a zone', 'peers fe80::1%eth0'],
    ['an address with a mask', 'peers 0.0.0.0/0'],
    ['every address', 'peers 0.0.0.0'],
    ['every v6 address', 'peers ::'],
    ['a host name', 'peers localhost'],
    ['more than 32 addresses', `peers ${Array.from({ length: 33 }, (_, i) => `10.0.0.${i + 1}`).join(' ')}`],
    ['an unknown way', 'units keep'],
    ['another folder', 'consul wipe /'],
  ];
  for (const [what, words] of calls) test(what, () => void refused(words));

  test('a caller who is neither the agent nor postgres', () => {
    for (const user of ['syncthing', 'www-data', '', 'cfyuser ', 'cfyuser_consul'])
      expect(refused('service start cloudify-consul.service', fakeRoot({ user }))).toBe('not for this user');
  });

  test('the postgres user, for everything but the start, stop and kill of its own unit', () => {
    const as = () => fakeRoot({ user: 'postgres' });
    for (const action of ['start', 'stop', 'kill'])
      expect(call(`service ${action} ${policy.postgresUnit}`, as()).code).toBe(0);
    for (const words of [
      `service restart ${policy.postgresUnit}`,
      'service start cloudify-consul.service',
      'firewall active',
      'units take',
      'consul wipe',
      'peers 10.0.0.1',
    ])
      refused(words, as());
  });

  test('whoever is not root', () =>
    void refused('service status cloudify-consul.service', fakeRoot({ uid: 997 })));

  test('everything, when the policy cannot be trusted or is no policy', () => {
    const bad = (change: Record<string, unknown>) =>
      fakeRoot({ files: { [POLICY_FILE]: JSON.stringify({ ...policy, ...change }) } });
    for (const change of [
      { schema: 2 },
      { units: 'ssh.service' },
      { units: ['--root=/tmp.service'] },
      { units: ['a/b.service'] },
      { agentUser: 'root;id' },
      { firewallDir: '/etc/../tmp' },
      { firewallDir: 'etc' },
      { consulDataDir: '/var' },
      { consulDataDir: '/var/lib' },
      { extra: true },
    ])
      refused('service start cloudify-consul.service', bad(change));
    refused('units take', fakeRoot({ files: { [POLICY_FILE]: 'not JSON' } }));
  });
});

describe('the policy', () => {
  test('is what it parses to', () => {
    expect(parsePolicy(renderPolicy(config))).toEqual(policy);
  });

  test('names the manager’s units, and the distribution’s own for the data directory', () => {
    expect(policy.managerUnits).toEqual(['rabbitmq-server.service', 'cloudify-mgmtworker.service']);
    expect(policy.distributionUnits).toEqual(['postgresql.service', 'postgresql@15-main.service']);
    const units = (data_dir: string) =>
      rootPolicyOf(makeConfig({ postgres: { data_dir } })).distributionUnits;
    expect(units('/var/lib/pgsql/14/data')).toEqual(['postgresql.service', 'postgresql-14.service']);
    expect(units('/srv/pg')).toEqual(['postgresql.service']);
  });
});
