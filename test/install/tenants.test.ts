import { describe, expect, test } from 'bun:test';
import { makeConfig } from '../../agent/config/index.ts';
import { moveUsers } from '../../agent/install/move.ts';
import { realTenants } from '../../agent/install/real_tenants.ts';
import { type Surroundings, tenantsOf } from '../../agent/install/tenants.ts';
import { refuseSharedUser } from '../../agent/membership/named.ts';

const alone: Surroundings = {
  passwd: [
    'root:x:0:0:root:/root:/bin/bash',
    'cfyuser:x:998:996::/var/lib/cloudify/agent:/usr/sbin/nologin',
    'nginx:x:33:33::/var/www:/usr/sbin/nologin',
    '',
  ].join('\n'),
  group: 'root:x:0:\ncluster:x:997:cfyuser\ncfyuser:x:996:\nnginx:x:33:\n',
  shadow: 'root:$y$x:1::::::\ncfyuser:!:1::::::\n',
  units: [{ name: 'nginx.service', text: '[Service]\nUser=nginx\n' }],
  processes: [{ pid: 7, uid: 998, command: 'agent', ours: true }],
  crontabs: ['root'],
};
const passwd = (from: string, to: string) => ({ passwd: alone.passwd.replace(from, to) });

describe("a user is the agent's alone", () => {
  test('with our own processes and nothing else', () => {
    expect(tenantsOf('cfyuser', alone)).toEqual([]);
  });
  test('when it does not exist yet', () => {
    expect(tenantsOf('cloudify_agent', alone)).toEqual([]);
  });
});

describe('it is not, and the reason is said', () => {
  const cases: [string, Partial<Surroundings>, string][] = [
    [
      'a unit, also a disabled one and a template',
      { units: [{ name: 'mgmtworker@.service', text: '[Unit]\nA=b\n[Service]\n User = cfyuser \n' }] },
      'mgmtworker@.service runs as it',
    ],
    [
      'a unit by number',
      { units: [{ name: 'rest.service', text: '[Service]\nUser=998\n' }] },
      'rest.service runs as it',
    ],
    [
      "a process of nobody's unit",
      { processes: [{ pid: 12, uid: 998, command: 'celery', ours: false }] },
      "processes other than the cluster's run as it: celery (12)",
    ],
    [
      'a shell',
      passwd('agent:/usr/sbin/nologin', 'agent:/bin/bash'),
      'it can log in: its shell is /bin/bash',
    ],
    ['an empty shell', passwd('agent:/usr/sbin/nologin', 'agent:'), 'it can log in: its shell is /bin/sh'],
    ['a password', { shadow: 'cfyuser:$y$hash:1::::::\n' }, 'it has a password'],
    ['a password that is empty', { shadow: 'cfyuser::1::::::\n' }, 'it has a password'],
    ['another name for it', passwd('nginx:x:33:33', 'nginx:x:998:33'), 'user nginx has the same number'],
    [
      'a member of its group',
      { group: alone.group.replace('cfyuser:x:996:', 'cfyuser:x:996:nginx') },
      'user nginx is in its group',
    ],
    ['somebody with its group', passwd('nginx:x:33:33', 'nginx:x:33:996'), 'user nginx is in its group'],
    ['a table of cron', { crontabs: ['cfyuser'] }, 'it has a crontab'],
  ];
  test.each(cases)('%s', (_, more, reason) => {
    expect(tenantsOf('cfyuser', { ...alone, ...more })).toEqual([reason]);
  });
  test('a unit that names it before the user exists', () => {
    const units = [{ name: 'rest.service', text: '[Service]\nUser=cloudify_agent\n' }];
    expect(tenantsOf('cloudify_agent', { ...alone, units })).toEqual(['rest.service runs as it']);
  });
  test('not by another section, an earlier line, or a comment', () => {
    const text = '[X-Service]\nUser=cfyuser\n[Service]\n#User=cfyuser\nUser=cfyuser\nUser=nginx\n';
    expect(tenantsOf('cfyuser', { ...alone, units: [{ name: 'a.service', text }] })).toEqual([]);
  });
});

test('on this machine: root is not for the agent alone, and a name that nobody has is', () => {
  expect(realTenants('root', '/opt/cloudify/agent').join()).toContain('it can log in');
  expect(realTenants('no_such_user_here', '/opt/cloudify/agent')).toEqual([]);
});

describe('start and join', () => {
  const config = makeConfig();
  test('are refused with the reason and what to do', () => {
    const look = () => ['mgmtworker.service runs as it'];
    expect(() => refuseSharedUser(config, look)).toThrow(
      /cfyuser is not the agent's alone: mgmtworker.service runs as it/,
    );
  });
  test('go on where it is, and where there are no units', () => {
    expect(() => refuseSharedUser(config, () => [])).not.toThrow();
    expect(() => refuseSharedUser({ ...config, driver: 'child' }, () => ['x'])).not.toThrow();
  });
});

test("a move stops the agent before what it runs, follows no link, and gives away only what was the earlier user's", async () => {
  const ran: string[] = [];
  const loaded = { loaded: true, enabled: false, masked: false, active: true, outdated: false };
  await moveUsers(
    {
      kind: 'move',
      group: 'cluster',
      users: [
        ['cfyuser', 'own'],
        ['gone', 'own_consul'],
      ],
      folders: ['/a', '/b'],
    },
    {
      group: (name) =>
        name === 'gone' ? undefined : { members: name === 'cluster' ? ['cfyuser', 'own'] : [] },
      user: (name) => (name === 'gone' ? undefined : { group: name, home: '/' }),
      look: () => undefined,
      units: async (names) =>
        new Map(names.filter((name) => !name.includes('syncthing')).map((name) => [name, loaded])),
    },
    async (argv) => {
      ran.push(argv.join(' '));
      return '';
    },
  );
  expect(ran).toEqual([
    'systemctl stop -- cloudify-agent.service',
    'systemctl stop -- cloudify-postgresql.service',
    'systemctl stop -- cloudify-consul.service',
    'chown --recursive --no-dereference --from=cfyuser own -- /a /b',
    'chown --recursive --no-dereference --from=:cfyuser :own -- /a /b',
    'gpasswd --delete cfyuser cluster',
  ]);
});
