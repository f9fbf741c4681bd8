/**
 * `npm run lab -- own_user`: something else runs as the agent's user. doctor says so, start refuses, install
 * gives the agent another user and moves a member of a living cluster to it; not the active. Afterwards the
 * earlier user has nothing of the cluster.
 */
import process from 'node:process';
import { AGENT } from '../binary.ts';
import { makeCluster } from '../cluster.ts';
import { createLab } from '../lab.ts';
import type { Machine } from '../machine.ts';
import { account, powerCutActive, switchover } from '../steps.ts';

const say = (line: string) => console.log(`own_user: ${line}`);
const problems: string[] = [];
const expectThat = (good: boolean, what: string) => {
  say(`${good ? 'ok' : 'WRONG'}: ${what}`);
  if (!good) problems.push(what);
};
const DIR = '/opt/manager/resources';
const UNIT = '/etc/systemd/system/rest.service';
const CONFIG = '/etc/cloudify/agent.yaml';

/** As a manager's package brings it: a service of the user that the agent has by default. */
async function share(vm: Machine, user: string): Promise<void> {
  await vm.must(`id ${user} >/dev/null 2>&1 || useradd --system --shell /usr/sbin/nologin ${user}`);
  await vm.writeFile(UNIT, `[Service]\nUser=${user}\nExecStart=/usr/bin/sleep infinity\n`, '0644');
  await vm.must('systemctl daemon-reload && systemctl start rest.service');
}

type Found = { id: string; state: string; what: string }[];
const ownUser = async (vm: Machine) =>
  (JSON.parse((await vm.exec([AGENT, 'doctor', '--json'], { timeout: 60_000 })).stdout) as Found).find(
    ({ id }) => id === 'user_own',
  );
const install = (vm: Machine, ...more: string[]) =>
  vm.exec([AGENT, 'install', ...more], { timeout: 120_000 });

/** What the earlier users still own of the cluster's, or may do. */
async function left(vm: Machine): Promise<string[]> {
  const problems = [];
  const owned = await vm.must(
    'find /etc/cloudify /var/lib/cloudify /var/log/cloudify* /run/cloudify* \\( -user cfyuser -o -user cfyuser_consul -o -user cfyuser_syncthing -o -group cfyuser -o -group cfyuser_consul -o -group cfyuser_syncthing \\)',
  );
  if (owned !== '') problems.push(`still owns ${owned.split('\n').slice(0, 3).join(' ')}`);
  for (const attack of [
    ['sudo', '-n', '/opt/cloudify/sudo_trampoline', 'firewall', 'active'],
    ['cat', '/etc/cloudify/cluster-ssl/ca.key'],
    ['cat', '/etc/cloudify/cluster-ssl/ca.pem'],
    ['cat', CONFIG],
    ['ls', '/run/cloudify-lease'],
    [AGENT, 'cluster', 'status'],
  ])
    if ((await vm.exec(attack, { user: 'cfyuser' })).code === 0) problems.push(`may ${attack.join(' ')}`);
  return problems;
}

const lab = await createLab({ name: process.env.LAB_NAME ?? 'own-user', nodes: 4, say });
try {
  for (const vm of lab.machines) await vm.must(`mkdir -p ${DIR}`);
  const cluster = await makeCluster(lab, {
    say,
    members: 3,
    yaml: `files:\n  folders:\n    - { id: resources, path: ${DIR} }\n`,
  });
  const ledger = cluster.ledger();
  const [n1, n3, n4] = [lab.node('n1'), lab.node('n3'), lab.node('n4')];
  expectThat((await ownUser(n3))?.state === 'ok', 'doctor: nothing but the agent is cfyuser');

  // Not in a cluster: start refuses, install proposes, start would go on.
  await share(n4, 'cfyuser');
  const refused = await n4.exec([
    AGENT,
    'cluster',
    'start',
    '--cluster-host-ip',
    n4.ip,
    '--cluster-node-name',
    'n4',
  ]);
  expectThat(
    refused.code !== 0 && refused.stderr.includes('rest.service runs as it'),
    `start is refused: ${refused.stderr.trim().split('\n').join(' ')}`,
  );
  const dry = await install(n4, '--dry-run');
  expectThat(dry.stdout.includes("is to say 'user: cloudify_agent'"), 'install proposes another user');
  const moved4 = await install(n4);
  expectThat(moved4.code === 0, `n4 is moved: ${moved4.stderr.split('\n').slice(-4).join(' ')}`);
  expectThat((await ownUser(n4))?.state === 'ok', `doctor on n4: ${JSON.stringify(await ownUser(n4))}`);
  expectThat((await install(n4)).stdout === 'nothing to change\n', 'a second install has nothing to change');

  for (const vm of [n1, n3]) await share(vm, 'cfyuser');
  const told = await ownUser(n3);
  expectThat(
    told?.state === 'fail' && told.what.includes('rest.service runs as it'),
    `doctor on n3: ${told?.what}`,
  );
  const active = await install(n1);
  expectThat(
    active.code !== 0 && active.stderr.includes('set-active'),
    `the active is not moved: ${active.stderr.trim().split('\n')[0]}`,
  );
  const began = await n3.exec([AGENT, 'install'], { timeout: 120_000 });
  expectThat(began.code === 0, `n3 is moved: ${began.stderr.trim().split('\n').slice(-3).join(' ')}`);
  await cluster.step('n3 is back', () => cluster.settled(120_000));
  const runs = await n3.must(
    'ps -o user:20= -p $(systemctl show -P MainPID cloudify-agent.service),$(systemctl show -P MainPID cloudify-consul.service),$(systemctl show -P MainPID cloudify-syncthing.service)',
  );
  expectThat(
    runs
      .trim()
      .split('\n')
      .every((user) => user.trim().startsWith('cloudify_agent')),
    `it runs as ${runs.trim().split('\n').join(' ')}`,
  );
  expectThat((await left(n3)).join() === '', `cfyuser has nothing of the cluster on n3: ${await left(n3)}`);
  expectThat((await install(n3)).stdout === 'nothing to change\n', 'install has nothing more to change');

  const planned = await switchover(cluster, ledger, 'n3');
  say(`switchover to it: ${planned.downtime.toFixed(0)} ms`);
  await cluster.settled(120_000);
  const first = await install(n1);
  expectThat(
    first.code === 0,
    `n1, which was the active, is moved: ${first.stderr.trim().split('\n').slice(-3).join(' ')}`,
  );
  await cluster.step('n1 is back', () => cluster.settled(120_000));
  expectThat((await left(n1)).join() === '', `cfyuser has nothing of the cluster on n1: ${await left(n1)}`);

  const cut = await powerCutActive(cluster, ledger);
  say(`power cut: ${cut.downtime.toFixed(0)} ms`);
  await lab.node(cut.from).boot();
  await cluster.settled(120_000);
  expectThat(cut.from === 'n3', 'the moved active is followed, and is back after a boot');
  const { acknowledged, lost, phantoms, overlaps } = await account(cluster, ledger);
  expectThat(
    lost.length + phantoms.length + overlaps === 0,
    `${acknowledged} writes, ${lost.length} lost, ${overlaps} moments with two`,
  );
  await ledger.close();
} finally {
  lab.down();
}
if (problems.length > 0) process.exitCode = 1;
