/**
 * What makes the lab's VMs managers before the agent comes: a broker, a worker, and on the founder a
 * database.
 */
import { join } from 'node:path';
import { LEDGER_TABLE } from '../../ledger/ledger.ts';
import type { Address } from '../../ledger/wire.ts';
import type { Lab } from '../lab.ts';
import type { Machine } from '../machine.ts';
import { SUBNET, SUBNET6 } from '../names.ts';

const here = import.meta.dirname;
export const DATA_DIR = '/var/lib/postgresql/15/main';
export const SERVICES = ['rabbitmq-server.service', 'mgmtworker.service'] as const;

/** Who may reach the manager's databases: the ledger from outside, the worker from its own machine. */
export const CLIENT_HBA = [
  `host ledger ledger ${SUBNET} trust`,
  `host ledger ledger ${SUBNET6} trust`,
  'host manager manager 127.0.0.1/32 trust',
];

/** Where the ledger writes on each VM. */
export const ledgerAddresses = (lab: Lab, version: 4 | 6 = 4): Record<string, Address> =>
  Object.fromEntries(
    lab.machines.map(({ id, ip, ip6 }) => [
      id,
      { host: version === 4 ? ip : ip6, port: 5432, user: 'ledger', database: 'ledger' },
    ]),
  );

/** The worker and the broker: installed and enabled, as a manager's own packages do, not started. */
export async function installManager(vm: Machine): Promise<void> {
  await vm.must('id mgmtworker >/dev/null 2>&1 || useradd --system --home-dir /opt/manager mgmtworker');
  for (const file of ['mgmtworker.py', 'publish.py']) {
    await vm.copyIn(join(here, file), `/opt/manager/${file}`, '0644');
  }
  await vm.copyIn(join(here, 'mgmtworker.service'), '/etc/systemd/system/mgmtworker.service', '0644');
  await vm.must(`systemctl daemon-reload && systemctl -q enable ${SERVICES.join(' ')}`);
}

/** The distribution's own PostgreSQL with the manager's databases, under the distribution's own unit. */
export async function makeDatabase(vm: Machine): Promise<void> {
  const hba = '/etc/postgresql/15/main/pg_hba.conf';
  await vm.must('pg_createcluster --locale C.UTF-8 15 main');
  // Before the distribution's own lines, which would ask for a password: the first that matches decides.
  await vm.must(`cat - ${hba} >${hba}.new && cat ${hba}.new >${hba} && rm ${hba}.new`, {
    input: `${CLIENT_HBA.join('\n')}\n`,
  });
  await vm.writeFile('/etc/postgresql/15/main/conf.d/lab.conf', "listen_addresses = '*'\n");
  await vm.must('systemctl start postgresql@15-main');
  const sql = async (database: string, text: string) => {
    await vm.must(['psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', database], {
      user: 'postgres',
      input: text,
    });
  };
  await sql('postgres', 'CREATE ROLE ledger LOGIN; CREATE ROLE manager LOGIN;');
  await sql('postgres', 'CREATE DATABASE ledger OWNER ledger');
  await sql('postgres', 'CREATE DATABASE manager OWNER manager');
  await sql('ledger', `SET ROLE ledger; ${LEDGER_TABLE};`);
  await sql(
    'manager',
    'SET ROLE manager; CREATE TABLE operations (id text PRIMARY KEY, node text, at timestamptz DEFAULT now());',
  );
}

/** n1 is the stand-alone manager that will found the cluster, running; the others are empty. */
export async function makeManagers(lab: Lab): Promise<void> {
  await Promise.all(lab.machines.map(installManager));
  const founder = lab.node('n1');
  await makeDatabase(founder);
  await founder.must(`systemctl start ${SERVICES.join(' ')}`);
}

/** agent.yaml, the same on every VM: name and address come from the command line. */
export const agentYaml = (more = ''): string => `driver: systemd
postgres:
  data_dir: ${DATA_DIR}
  # What the manager's own settings say, which start would refuse to give up in silence.
  listen: ['0.0.0.0', '::']
  client_hba:
${CLIENT_HBA.map((line) => `    - ${line}`).join('\n')}
services:
  - { name: rabbitmq, unit: rabbitmq-server.service, order: 10, active_only: true }
  - { name: mgmtworker, unit: mgmtworker.service, order: 20, active_only: true }
${more}`;
