/**
 * A manager's database put under cluster settings, as start and join leave it, for teardown to take out
 * again.
 */
import { makeConfig } from '../../agent/config/index.ts';
import { initialSettings, renderClusterConf, renderMainConf } from '../../agent/roles/postgres/conf.ts';
import { type PgOptions, pgDefaults } from '../../agent/roles/postgres/options.ts';
import type { Machine } from './machine.ts';
import { DATA_DIR } from './manager/manager.ts';

const CONF = '/var/lib/cloudify/agent/postgres';

function options(): PgOptions {
  const { postgres } = makeConfig({ postgres: { data_dir: DATA_DIR } });
  return {
    ...pgDefaults,
    node: 'm1',
    binDir: '/usr/lib/postgresql/15/bin',
    dataDir: DATA_DIR,
    confDir: CONF,
    socketDir: postgres.socket_dir,
    host: '127.0.0.1',
    port: postgres.port,
    divergedDir: '/var/lib/cloudify/diverged',
    originalConfig: '/etc/postgresql/15/main/postgresql.conf',
    starter: { start: () => Promise.resolve(), pid: () => null, kill: () => {}, onExit: () => {} },
  };
}

/** In the database that the agent uses itself. */
export const sql = (vm: Machine, text: string): Promise<string> =>
  vm.must(['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-c', text], { user: 'postgres' });

/** What the kernel holds of ours, then of others. */
export const rules = (vm: Machine): Promise<string> =>
  vm
    .must('(iptables -S; ip6tables -S; ipset list -n) | grep -ci cloudify; iptables -S | grep -c "dport 9 "')
    .catch((error) => String(error));

/**
 * Membership, settings that wait for a standby, a slot, the cluster's role and table; the server runs under
 * our unit.
 */
export async function putInCluster(vm: Machine): Promise<void> {
  const membership = {
    ...{
      nodeName: 'm1',
      hostIp: '10.77.0.11',
      publicIp: null,
      clusterId: 'c',
      incarnation: 1,
      systemId: '1',
    },
    ...{ secret: 's', consulServers: [] },
  };
  await vm.must(['systemctl', 'stop', 'cloudify-agent.service', 'cloudify-postgres-helper.service']);
  await vm.writeFile(
    '/var/lib/cloudify/agent/membership.json',
    JSON.stringify(membership),
    '0600',
    'cfyuser:cluster',
  );
  await vm.must(['/opt/cloudify/sudo_trampoline', 'units', 'take']);
  await vm.must(
    'iptables -C INPUT -p tcp --dport 9 -j ACCEPT || iptables -A INPUT -p tcp --dport 9 -j ACCEPT',
  );
  await vm.must(['systemctl', 'start', 'cloudify-iptables-restore.service']);
  // As an active's helper leaves it: found passed, the ports would be shut and the services stopped.
  await vm.writeFile('/run/cloudify-lease/deadline', '100.00\n', '0600');
  const o = options();
  await clusterConf(vm, o, null);
  await vm.writeFile(
    `${CONF}/postgresql.conf`,
    renderMainConf(o, o.originalConfig ?? null),
    '0640',
    'postgres',
  );
  await vm.writeFile(`${CONF}/pg_hba.conf`, 'local all postgres peer\n', '0640', 'postgres');
  await vm.writeFile(`${CONF}/pg_ident.conf`, '', '0640', 'postgres');
  await startServer(vm);
  await sql(
    vm,
    `create role cloudify_replication login replication; create schema cloudify_agent;
     create table cloudify_agent.heartbeat (at timestamptz);
     select pg_create_physical_replication_slot('agent_m2', true);`,
  );
  // A commit on it would now wait for ever: teardown must not.
  await clusterConf(vm, o, { k: 1, names: ['m2_00000000'] });
  await vm.must(['systemctl', 'reload', 'cloudify-postgresql.service']);
}

const clusterConf = (vm: Machine, o: PgOptions, syncList: { k: number; names: string[] } | null) =>
  vm.writeFile(
    `${CONF}/cluster.conf`,
    renderClusterConf(o, { ...initialSettings(o), syncList }),
    '0640',
    'postgres',
  );

const startServer = (vm: Machine) => vm.must(['systemctl', 'start', 'cloudify-postgresql.service']);

/** The same, as one whose active is gone. */
export async function becomeStandby(vm: Machine): Promise<void> {
  await vm.must(['systemctl', 'stop', 'cloudify-postgresql.service']);
  await vm.must(['touch', `${DATA_DIR}/standby.signal`], { user: 'postgres' });
  await startServer(vm);
}

const ETC = '/etc/postgresql/15/main';
const KEPT = '/root/etc-postgresql-15-main';

/** The same, as one that joined without settings of the distribution's: the cluster's are all that it has. */
export async function joinedEmpty(vm: Machine): Promise<void> {
  await vm.must(['systemctl', 'stop', 'cloudify-postgresql.service']);
  await vm.must(`rm -rf ${KEPT} && cp -a ${ETC} ${KEPT} && rm -rf ${ETC}`);
  await vm.writeFile(`${CONF}/postgresql.conf`, renderMainConf(options(), null), '0640', 'postgres');
  await startServer(vm);
}

export async function settingsAsBefore(vm: Machine): Promise<void> {
  await vm.must(`systemctl stop postgresql@15-main && rm -rf ${ETC} && mv ${KEPT} ${ETC}`);
  await vm.must(['systemctl', 'daemon-reload']);
}
