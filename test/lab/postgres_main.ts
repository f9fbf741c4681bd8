/**
 * `npm run lab -- postgres`: the PostgreSQL helper with its real units on two VMs, called as the agent's user
 * calls it: a cluster of the distribution's is adopted, copied by certificate, promoted, and its postmaster
 * killed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { authority } from '../fixtures/openssl.ts';
import { buildAgent, installAgent } from './binary.ts';
import { createLab, openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import { agentYaml, makeManagers } from './manager/manager.ts';
import { builtExecutable } from './trampoline.ts';

const named = process.env.LAB_NAME;
const lab = named === undefined ? await createLab({ name: 'postgres', nodes: 2 }) : openLab(named);
const [n1, n2] = [lab.node('n1'), lab.node('n2')];
const scenario = builtExecutable(join(import.meta.dirname, '../roles/postgres_helper/vm.scenario.ts'));
const keys = mkdtempSync(join(tmpdir(), 'lab-keys-'));
let failures = 0;
const report = (what: string, good: boolean, seen: unknown) => {
  if (!good) failures++;
  console.log(good ? `ok ${what}` : `FAILED ${what}: ${JSON.stringify(seen)}`);
};

type Told = { method: string; ms: number; value: Record<string, unknown> & { kind?: string; why?: string } };
async function calls(vm: Machine, ...list: [string, ...unknown[]][]): Promise<Told[]> {
  const { stdout, stderr } = await vm.exec(['/opt/scenario', vm.id, vm.ip], {
    user: 'cfyuser',
    timeout: 60_000,
    input: list.map((call) => JSON.stringify(call)).join('\n'),
  });
  if (stderr !== '') console.log(stderr.trim());
  return stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Told);
}
/** Calls that must all come out as done. */
async function done(what: string, vm: Machine, ...list: [string, ...unknown[]][]): Promise<void> {
  const told = await calls(vm, ...list);
  const good =
    told.length === list.length && told.every((t) => t.value?.kind === 'done' || t.value?.kind === 'stopped');
  report(`${what} (${told.map((t) => `${t.method} ${t.ms.toFixed(0)} ms`).join(', ')})`, good, told);
}
async function facts(vm: Machine): Promise<Told['value']> {
  return (await calls(vm, ['facts', 1000]))[0]?.value ?? {};
}
async function until(what: string, vm: Machine, holds: (facts: Told['value']) => boolean): Promise<void> {
  let last: unknown;
  for (const end = performance.now() + 15_000; performance.now() < end; ) {
    last = await facts(vm);
    if (holds(last as Told['value'])) return report(what, true, last);
  }
  report(what, false, last);
}

try {
  const binary = await buildAgent(lab);
  await makeManagers(lab);
  const issue = authority(keys, 'ca');
  const members = ['n1.1', 'n2.1'];
  for (const vm of [n1, n2]) {
    await installAgent(vm, binary, agentYaml('firewall: { enabled: false }\n'));
    // Here the test is the agent, and PostgreSQL's own fence the one that is looked at.
    await vm.must('systemctl stop cloudify-agent.service');
    await vm.must(['/opt/cloudify/sudo_trampoline', 'units', 'take']);
    await vm.copyIn(scenario.file, '/opt/scenario', '0755');
  }
  const upstream = { node: 'n1', host: n1.ip, port: 5432 };

  report('an empty manager is seen to be empty', (await calls(n2, ['inspect']))[0]?.value.empty === true, '');
  await done(
    'the database that pg_createcluster made is taken over',
    n1,
    ['stop', 'fast', 10_000, false],
    ['adopt'],
    ['setCertificates', { ...issue('n1', '1'), members }],
    ['startPrimary', 10_000],
    ['ensureReplicationRole', 5000],
    ['ensureSlots', ['n2'], 5000],
  );
  const sudo = await n1.exec(['psql', '-XAtd', 'postgres', '-c', 'show config_file; show ssl'], {
    user: 'postgres',
  });
  report('under the unit, on its own settings', sudo.stdout.endsWith('postgres/postgresql.conf\non\n'), sudo);
  const stranger = await n1.exec(['psql', '-XAtU', 'manager', '-d', 'manager', '-c', 'select 1'], {
    user: 'mgmtworker',
  });
  report('nobody else is on the socket while fenced', /rejects|no pg_hba/.test(stranger.stderr), stranger);
  await done('clients are let in', n1, ['unfence', 2000]);
  const still = await n1.exec(['psql', '-XAtU', 'manager', '-d', 'manager', '-c', 'select 1'], {
    user: 'mgmtworker',
  });
  report('and not over the socket', /no pg_hba/.test(still.stderr), still);
  const local = await n1.exec('psql -XAt -h 127.0.0.1 -U manager -d manager -c "select 1"', {
    user: 'mgmtworker',
  });
  report('but over loopback', local.stdout === '1\n', local);
  const asAgent = await n1.exec('psql -XAt -U postgres -d postgres -c "select 1"', { user: 'cfyuser' });
  report("the agent's own checks connect over the socket", asAgent.stdout === '1\n', asAgent);

  await done(
    'a copy by certificate comes up as a standby',
    n2,
    ['setCertificates', { ...issue('n2', '1'), members }],
    ['basebackup', upstream],
  );
  await calls(n2, ['setIdentity', 'n2_c1']);
  await done('and is started', n2, ['setUpstream', upstream, 3000], ['startStandby', 20_000]);
  await until('it streams', n2, (f) => f.streaming === true);

  const [killed] = await calls(n1, ['facts', 500]);
  report('a fact costs little', (killed?.ms ?? 99) < 60, killed?.ms);
  await n1.must('pkill -9 -o -u postgres -f "bin/postgres -D"');
  await done('a killed postmaster is started again', n1, ['startPrimary', 10_000]);
  await done('a clean stop', n1, ['fence', 3000], ['stop', 'fast', 10_000, true]);
  await done(
    'the standby becomes the primary',
    n2,
    ['setUpstream', null, 3000],
    ['promote', 5000],
    ['unfence', 2000],
  );
  await done(
    'the former primary follows it',
    n1,
    ['setUpstream', { node: 'n2', host: n2.ip, port: 5432 }, 3000],
    ['startStandby', 20_000],
  );
  await until('it streams', n1, (f) => f.streaming === true);

  const served = await n1.must('systemctl show -p MainPID --value cloudify-postgresql.service');
  await n1.must('systemctl kill -s KILL cloudify-postgres-helper.service');
  await until(
    'a killed helper is back and finds the server',
    n1,
    (f) => f.accepting === true && f.streaming === true,
  );
  const same = await n1.must('systemctl show -p MainPID --value cloudify-postgresql.service');
  report('which was not touched', served === same, [served, same]);

  await n1.must('echo "no_such_setting = 1" >/etc/postgresql/15/main/conf.d/bad.conf');
  await calls(n1, ['stop', 'fast', 5000, true]);
  const bad = (await calls(n1, ['startStandby', 5000]))[0]?.value;
  report('a start that fails says why', /no_such_setting/.test(bad?.why ?? ''), bad);
  await n1.must('rm /etc/postgresql/15/main/conf.d/bad.conf');
  await done('an undone join leaves nothing', n1, ['wipe']);
  report('the folders are empty', (await calls(n1, ['inspect']))[0]?.value.empty === true, '');
} finally {
  scenario.release();
  rmSync(keys, { recursive: true, force: true });
  if (named === undefined) lab.down();
}
if (failures > 0) process.exitCode = 1;
