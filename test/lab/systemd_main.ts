/** `npm run lab -- systemd`: the systemd driver on a VM, as cfyuser through the real trampoline. */
import { join } from 'node:path';
import process from 'node:process';
import { makeConfig } from '../../agent/config/index.ts';
import { POLICY_FILE } from '../../agent/trampoline/names.ts';
import { renderPolicy } from '../../agent/trampoline/policy.ts';
import { SCRIPTS } from '../roles/services/contract.ts';
import { createLab, openLab } from './lab.ts';
import { builtExecutable, prepare } from './trampoline.ts';

const script = (text: string) =>
  `ExecStart=/bin/sh -c '${text.replaceAll("'", '"').replaceAll('$', '$$$$')}'`;
const LOOP = 'while :; do sleep 0.05; done';

const UNITS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(SCRIPTS).map(([kind, text]) => [kind, `Type=exec\n${script(text)}`])),
  // What it leaves must be found and killed by the driver.
  forks: `Type=exec\nKillMode=process\n${script(SCRIPTS.forks)}`,
  notify: `Type=notify\nNotifyAccess=all\n${script(`sleep 0.8; systemd-notify --ready; ${LOOP}`)}`,
  hangs: `Type=notify\nNotifyAccess=all\n${script(`trap "" TERM; ${LOOP}`)}`,
  fails: `Type=notify\nNotifyAccess=all\n${script('exit 3')}`,
  returns: `Type=exec\nRestart=always\nRestartSec=1\n${script(LOOP)}`,
  oneshot: 'Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true',
  forking: `Type=forking\nGuessMainPID=no\n${script('sleep 1000 & exit 0')}`,
};

const named = process.env.LAB_NAME;
const lab = named === undefined ? await createLab({ name: 'systemd', nodes: 1 }) : openLab(named);
const node = lab.node('n1');
const agent = builtExecutable();
const scenario = builtExecutable(join(import.meta.dirname, '../roles/services/systemd.scenario.ts'));
try {
  await prepare(node, agent.file);
  const names = [...Object.keys(UNITS), 'missing'];
  const services = names.map((name) => ({ name, unit: `worker-${name}.service` }));
  await node.writeFile(POLICY_FILE, renderPolicy(makeConfig({ services })));
  for (const [name, text] of Object.entries(UNITS)) {
    const common = 'User=cfyuser\nTimeoutStartSec=infinity\nTimeoutStopSec=infinity\nStandardOutput=null';
    await node.writeFile(`/etc/systemd/system/worker-${name}.service`, `[Service]\n${common}\n${text}\n`);
  }
  await node.must('systemctl daemon-reload');
  await node.copyIn(scenario.file, '/opt/cloudify/scenario');
  const { code, stdout, stderr } = await node.exec(['/opt/cloudify/scenario'], {
    user: 'cfyuser',
    timeout: 120_000,
  });
  console.log(stdout.trim());
  await node.must('systemctl stop dbus.socket dbus.service');
  const without = await node.exec(['/opt/cloudify/scenario', 'start and stop'], { user: 'cfyuser' });
  await node.must('systemctl start dbus.socket dbus.service');
  console.log(`without D-Bus: ${without.stdout.trim()}`);
  if (stderr !== '') console.log(stderr.trim());
  process.exitCode =
    code === 0 && stdout.includes('ok ') && without.code === 0 && without.stdout.startsWith('ok ') ? 0 : 1;
} finally {
  for (const { release } of [agent, scenario]) release();
  if (named === undefined) lab.down();
}
