/** `npm run lab -- install`: install, its second run, teardown, uninstall, on a manager with a database. */
import process from 'node:process';
import { buildAgent } from './binary.ts';
import { exposure, tooOpen } from './exposure.ts';
import { asBeforeSockets, difference, fingerprint, wrongModes } from './install_checks.ts';
import {
  becomeStandby,
  joinedEmpty,
  putInCluster,
  rules,
  settingsAsBefore,
  sql,
} from './install_database.ts';
import { createLab, openLab } from './lab.ts';
import { makeManagers } from './manager/manager.ts';

const named = process.env.LAB_NAME;
const lab = named === undefined ? await createLab({ name: 'install', nodes: 1 }) : openLab(named);
const vm = lab.node('n1');
let failures = 0;
const report = (name: string, problem: string | undefined) => {
  if (problem !== undefined) failures++;
  console.log(problem === undefined ? `ok ${name}` : `FAILED ${name}: ${problem}`);
};
const expect = (name: string, seen: unknown, wanted: unknown) =>
  report(name, seen === wanted ? undefined : `${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`);

const FILE = '/root/agent';
const agent = (...args: string[]) => vm.exec([FILE, ...args], { timeout: 180_000 });
const json = async (...args: string[]) => JSON.parse((await agent(...args, '--json')).stdout || '{}');

await makeManagers(lab);
await vm.copyIn(await buildAgent(lab), FILE);
const before = await fingerprint(vm);

const early = await agent('doctor');
report(
  'doctor looks at a machine before install, and ends with 1',
  early.code === 1 && early.stderr === '' && /FAIL {2}installed: .*\n.*agent install/.test(early.stdout)
    ? undefined
    : `exit ${early.code}: ${early.stdout}${early.stderr}`,
);
const dry = await agent('install', '--dry-run');
expect('install --dry-run ends well', dry.code, 0);
report('install --dry-run changes nothing', difference(before, await fingerprint(vm)));
const refused = await vm.exec([
  '/bin/sh',
  '-c',
  `cp ${FILE} /tmp/agent; runuser -u postgres /tmp/agent install`,
]);
report('install refuses anyone but root', refused.code === 1 ? undefined : `exit ${refused.code}`);
await vm.must('rm /tmp/agent');

const made = await agent('install', '--json');
const first = JSON.parse(made.stdout || '{}');
report(
  'install says what was done',
  made.stderr.includes('done    created group cluster\n') && !/is to be|should/.test(made.stderr)
    ? undefined
    : made.stderr,
);
const announced = dry.stdout.trim().split('\n').length - 1;
expect('install makes what the dry run announced', first.changes?.length, announced);
const installed = await fingerprint(vm);
const second = await agent('install');
expect('a second install has nothing to change', second.stdout, 'nothing to change\n');
report('a second install changes nothing', difference(installed, await fingerprint(vm)));
expect('every owner and mode is as documented', (await wrongModes(vm)).join('; '), '');
expect('visudo accepts the whole of sudoers', (await vm.exec(['visudo', '-c'])).code, 0);
const verify = await vm.exec(
  'systemd-analyze verify /etc/systemd/system/cloudify-*.service /etc/systemd/system/cloudify-*.socket',
);
const open = await exposure(vm);
console.log(open.map((one) => one.join(' ')).join(', '));
expect('no unit is more open than documented', tooOpen(open).join(', '), '');
expect('systemd finds nothing wrong in the units', `${verify.code} ${verify.stderr}`, '0 ');

await vm.must(
  'chmod 777 /var/lib/cloudify/agent; chown root /run/cloudify; echo x >>/etc/sudoers.d/cloudify',
);
await vm.must('rm /opt/cloudify/sudo_trampoline; systemctl -q disable cloudify-lease.service');
const mended = await json('install');
expect('what was spoilt is found, and nothing else', mended.changes?.length, 5);
report('and mended', difference(installed, await fingerprint(vm)));

// Its call is the first, and makes the log.
await vm.exec(['/opt/cloudify/agent', 'doctor']);
const complete = await fingerprint(vm);
await asBeforeSockets(vm);
const ofBefore = await vm.exec(['/opt/cloudify/agent', 'doctor', '--json']);
report(
  'as an earlier version left it: sudo answers, and doctor misses the socket',
  /"trampoline","state":"ok"/.test(ofBefore.stdout.replaceAll(/[\s\n]/g, '')) &&
    /"trampoline_socket","state":"fail"/.test(ofBefore.stdout.replaceAll(/[\s\n]/g, ''))
    ? undefined
    : ofBefore.stdout,
);
const upgraded = await agent('install');
report('install moves it to sockets', difference(complete, await fingerprint(vm)));
report(
  'and restarts the agent and the helper, the sockets before',
  /started cloudify-root-agent.socket[\s\S]*restarted cloudify-postgres-helper.service[\s\S]*restarted cloudify-agent.service/.test(
    upgraded.stderr,
  )
    ? undefined
    : upgraded.stderr,
);
expect('once', (await agent('install')).stdout, 'nothing to change\n');

const pid = () => vm.must(['systemctl', 'show', '-P', 'MainPID', 'cloudify-agent.service']);
const old = await pid();
await vm.must(`cp ${FILE} ${FILE}.new; echo >>${FILE}.new; mv ${FILE}.new ${FILE}`);
await agent('install');
report('another executable restarts the agent', (await pid()) !== old ? undefined : `still ${old}`);
const doctor = await vm.exec(['/opt/cloudify/agent', 'doctor', '--json']);
const found = (JSON.parse(doctor.stdout) as { id: string; state: string; what: string }[])
  .filter(({ id, state }) => state !== 'ok' && /^(install|sudoers|trampoline|units|user)/.test(id))
  .map(({ id, what }) => `${id}: ${what}`);
expect('doctor has nothing to say about the installation', found.join('; '), '');

const CONFIG = '/etc/cloudify/agent.yaml';
const problems = async (): Promise<string> => {
  const { configuration } = await json('status');
  return (
    (configuration?.problems as { what: string }[] | undefined)?.map(({ what }) => what).join('; ') ?? '?'
  );
};
const settled = async (): Promise<string> => {
  for (let tries = 0; tries < 60; tries++) {
    const said = await problems().catch(() => '?');
    if (said === '') return said;
    await new Promise((done) => setTimeout(done, 500));
  }
  return await problems();
};
const text = await vm.must(['cat', CONFIG]);
expect('the configuration is in force', await settled(), '');
await vm.writeFile('/root/edited.yaml', `${text}\nservices: [{ name: worker, unit: mgmtworker.service }]\n`);
await vm.must(`cp /root/edited.yaml ${CONFIG}`);
const said = await problems();
report(
  'a changed file is not in force, and each part says so',
  ['the agent runs with', 'firewall rules and sudo were made', 'the helper of the kernel lease runs'].every(
    (part) => said.includes(part),
  )
    ? undefined
    : said,
);
const start = await agent('cluster', 'start', '--cluster-host-ip', '127.0.0.1', '--cluster-node-name', 'n1');
report(
  'a start with it is refused',
  start.code === 1 && start.stderr.includes(`another configuration than ${CONFIG}: services`)
    ? undefined
    : start.stdout + start.stderr,
);
const remade = await agent('install');
report(
  'install restarts what read the old file',
  ['cloudify-agent', 'cloudify-lease'].every((unit) =>
    remade.stderr.includes(`restarted ${unit}.service: it ran with another configuration (services)`),
  )
    ? undefined
    : remade.stderr,
);
expect('and it is in force', await settled(), '');
await vm.writeFile('/root/before.yaml', text);
await agent('install', '--from', '/root/before.yaml');
expect('taken in with --from it is in force as well', await settled(), '');
expect('and nothing is left to change', (await agent('install')).stdout, 'nothing to change\n');
await vm.must('rm /root/edited.yaml /root/before.yaml');

const LISTED = "find . -printf '%p %u:%g %m\\n' | grep -v /conf.d/ | sort";
const listed = await vm.must(`cd /etc/postgresql/15/main; ${LISTED}`);
for (const role of ['primary', 'standby', 'joined'] as const) {
  await vm.must('systemctl stop mgmtworker.service');
  await sql(vm, `create table if not exists kept_${role} as select generate_series(1, 1000) as n`);
  const units = await vm.must('systemctl list-unit-files --no-legend --no-pager | sort');
  const timeline = await sql(vm, 'select timeline_id from pg_control_checkpoint()');
  await putInCluster(vm);
  if (role !== 'primary') await becomeStandby(vm);
  if (role === 'joined') await joinedEmpty(vm);
  // Not configured: it ends at once, and its unit is remembered as failed.
  await vm.exec('systemctl start cloudify-consul.service; systemctl kill -s KILL cloudify-consul.service');
  const loaded = await rules(vm);
  report(`${role}: the boot unit loads the rules`, /^[1-9]\d*\n1\n$/.test(loaded) ? undefined : loaded);
  const stays = await agent('uninstall');
  report(`${role}: uninstall refuses while clustered`, stays.code === 1 ? undefined : stays.stdout);
  const told = await agent('teardown');
  report(
    `${role}: teardown without -f tells and refuses`,
    told.code === 1 && told.stdout.includes('nothing was done') ? undefined : told.stdout + told.stderr,
  );
  const failed = "systemctl list-units --all --no-legend --plain --state=failed 'cloudify-*' | cut -d' ' -f1";
  await vm.must(
    'i=0; until systemctl is-failed -q cloudify-consul.service; do i=$((i+1)); [ $i -lt 300 ]; sleep 0.1; done',
  );
  const torn = await agent('teardown', '-f');
  expect(`${role}: teardown leaves no failed unit`, (await vm.exec(failed)).stdout, '');
  expect(`${role}: teardown`, torn.code === 0 ? '' : torn.stderr, '');
  expect(
    `${role}: the distribution's server runs`,
    (await vm.exec('systemctl is-active postgresql@15-main')).stdout,
    'active\n',
  );
  expect(`${role}: our rules and sets are gone, others stay`, await rules(vm), '0\n1\n');
  const seen = await sql(
    vm,
    `select pg_is_in_recovery(), (select count(*) from kept_${role}), (select count(*) from pg_replication_slots),
       (select count(*) from pg_roles where rolname = 'cloudify_replication'), to_regnamespace('cloudify_agent'),
       current_setting('config_file'), current_setting('synchronous_standby_names')`,
  );
  const right = 'f|1000|0|0||/etc/postgresql/15/main/postgresql.conf|\n';
  expect(`${role}: its data is whole, the cluster's traces are gone`, seen, right);
  await sql(vm, `drop table kept_${role}; checkpoint`);
  const later = await sql(vm, 'select timeline_id from pg_control_checkpoint()');
  expect(`${role}: timeline`, Number(later) - Number(timeline), role === 'primary' ? 0 : 1);
  report(
    `${role}: units are enabled as before`,
    difference(units, await vm.must('systemctl list-unit-files --no-legend --no-pager | sort')),
  );
  expect(
    `${role}: a second teardown has nothing to do`,
    (await agent('teardown', '-f')).stdout,
    'nothing to tear down\n',
  );
  if (role === 'joined') {
    const line = "done    wrote the distribution's settings for it, which this machine lacked";
    report(
      'joined: teardown says that it wrote settings',
      torn.stderr.includes(line) ? undefined : torn.stderr,
    );
    expect('joined: as Debian has them', await vm.must(`cd /etc/postgresql/15/main; ${LISTED}`), listed);
    await settingsAsBefore(vm);
  }
  const aside = await vm.exec('ls /var/lib/cloudify/former-*/agent/membership.json');
  report(`${role}: the state is kept aside`, aside.code === 0 ? undefined : aside.stderr);
  expect(
    `${role}: install has nothing to change after it`,
    (await agent('install')).stdout,
    'nothing to change\n',
  );
}

const gone = await agent('uninstall');
expect('uninstall', gone.code === 0 ? '' : gone.stderr, '');
expect('uninstall keeps the configuration', (await vm.exec('ls /etc/cloudify/agent.yaml')).code, 0);
const purged = await agent('uninstall', '--purge');
expect('uninstall --purge', purged.code === 0 ? '' : purged.stderr, '');
report('nothing of install is left', difference(before, await fingerprint(vm)));

if (named === undefined) lab.down();
if (failures > 0) process.exit(1);
