/** What a node is made of beside the core: the parts that start and join use before there is a cluster. */
import { effectiveLease, type NodeConfig } from '../config/index.ts';
import type { CheckSummary } from '../core/ports.ts';
import type { Log } from '../log/log.ts';
import { systemClock } from '../platform/clock.ts';
import { type ConsulServer, createConsulServer } from '../roles/consul/server.ts';
import { createFilesRole, filesOff } from '../roles/files/index.ts';
import type { Files } from '../roles/files/port.ts';
import { type Fence, firewallFence, serverFence } from '../roles/firewall/fence.ts';
import { createFirewall } from '../roles/firewall/firewall.ts';
import { createKernelLease } from '../roles/firewall/kernel_lease.ts';
import type { Postgres, Progress } from '../roles/postgres/port.ts';
import { postgresOf } from '../roles/postgres_helper/driver.ts';
import { HELPER_SOCKET, helperPostgres } from '../roles/postgres_helper/index.ts';
import { callTrampoline } from '../roles/root/call.ts';
import { type Machine, noMachine, systemdMachine } from '../roles/root/machine.ts';
import type { ServiceDriver } from '../roles/services/driver.ts';
import { createServiceRunner, type ServiceRunner } from '../roles/services/runner.ts';
import { postgresDoor } from '../security/door.ts';
import { type LiveSecurity, liveSecurity } from '../security/live.ts';
import type { Membership } from '../state/identity.ts';
import type { HousekeepingParts } from './housekeeping.ts';

export type Parts = {
  readonly config: NodeConfig;
  readonly pg: Postgres;
  readonly consul: ConsulServer;
  readonly services: ServiceRunner;
  readonly machine: Machine;
  readonly security: LiveSecurity;
  readonly fence: Fence;
  readonly files: Files;
  /** The cluster's renew_deadline, ms, for what closes by itself. */
  limitLease(ms: number): void;
  /** What lets members in: the firewall, PostgreSQL, Syncthing. */
  readonly doors: HousekeepingParts['doors'];
  /** Lets these addresses through the firewall, before anything is known of the cluster. */
  reach(hosts: readonly string[]): Promise<void>;
  close(): Promise<void>;
};

/** What a member is put together of (member.ts). */
export type MemberParts = {
  config: NodeConfig;
  membership: Membership;
  log: Log;
  parts: Parts;
  /** The cluster has let this node go: to be made durable. */
  whenRemoved?: () => void;
  /** Makes the members' addresses durable. */
  remember?: (hosts: readonly string[]) => void;
  /** The check-runner's word; asked anew at every tick. */
  checks: () => CheckSummary;
  progress: Progress;
};

export function createParts(config: NodeConfig, driver: ServiceDriver, log: Log): Parts {
  const systemd = config.driver === 'systemd';
  const say = (line: string) => log.for('postgres').info(line);
  const pg = systemd ? helperPostgres(config, HELPER_SOCKET, say) : postgresOf(config, driver, say);
  const security = liveSecurity(config);
  const { fence, doors, reach, limitLease, dispose } = wall(config, pg);
  const files = config.files.enabled
    ? createFilesRole(config, driver, {
        log: log.for('handler-runner'),
        ...(systemd ? { purge: () => callTrampoline('files', 'wipe') } : {}),
      })
    : filesOff;
  return {
    config,
    pg,
    security,
    fence,
    reach,
    limitLease,
    files,
    consul: createConsulServer(config, driver, security.current),
    services: createServiceRunner(config.services, driver),
    doors: [...doors, postgresDoor(pg, security), filesDoor(files, config.node_name)],
    machine: systemd ? systemdMachine : noMachine,
    close: async () => {
      dispose();
      await files.close();
      await pg.close();
    },
  };
}

/** The firewall with its kernel lease where there is one. */
function wall(config: NodeConfig, pg: Postgres) {
  const { now } = systemClock;
  if (!config.firewall.enabled)
    return {
      fence: serverFence(pg, now),
      doors: [],
      reach: async () => {},
      limitLease: () => {},
      dispose: () => {},
    };
  const longest = effectiveLease(config).renew_deadline;
  const lease = createKernelLease({ socketPath: config.firewall.lease_socket, longest, now });
  const firewall = createFirewall(callTrampoline);
  // Not this node's own address: what comes from there are clients.
  const reach = (hosts: readonly string[]) => firewall.peers(hosts.filter((host) => host !== config.host_ip));
  const door: HousekeepingParts['doors'][number] = {
    name: 'firewall',
    letIn: (admitted) => reach(Object.values(admitted).map((node) => node.hostIp)),
  };
  return {
    fence: firewallFence(pg, lease, now),
    doors: [door],
    reach,
    limitLease: (ms: number) => lease.limit(ms),
    dispose: () => lease.dispose(),
  };
}

/** Syncthing knows the devices of all other nodes, and of who is joining. */
const filesDoor = (files: Files, own: string): HousekeepingParts['doors'][number] => ({
  name: 'files',
  letIn: (admitted) =>
    files.setMembers(
      Object.entries(admitted).flatMap(([node, { deviceId, hostIp }]) =>
        node === own || deviceId === undefined ? [] : [{ node, deviceId, address: hostIp }],
      ),
    ),
});
