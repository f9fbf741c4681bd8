/** What a node is made of beside the core: the parts that start and join use before there is a cluster. */
import type { NodeConfig } from './config.ts';
import type { HousekeepingParts } from './housekeeping.ts';
import type { Log } from './log.ts';
import { type ConsulServer, createConsulServer } from './roles/consul_server.ts';
import { type Machine, noMachine, systemdMachine } from './roles/machine.ts';
import type { Postgres } from './roles/postgres/port.ts';
import { HELPER_SOCKET, helperPostgres } from './roles/postgres_helper/index.ts';
import { postgresOf } from './roles/postgres_of.ts';
import { createServiceRunner, type ServiceRunner } from './roles/service_runner.ts';
import type { ServiceDriver } from './roles/services/driver.ts';
import { loadSecurity } from './security/store.ts';

export type Parts = {
  readonly config: NodeConfig;
  readonly pg: Postgres;
  readonly consul: ConsulServer;
  readonly services: ServiceRunner;
  readonly machine: Machine;
  /** What lets members in: the firewall, PostgreSQL, Syncthing. */
  readonly doors: HousekeepingParts['doors'];
  close(): Promise<void>;
};

export function createParts(config: NodeConfig, driver: ServiceDriver, log: Log): Parts {
  const systemd = config.driver === 'systemd';
  const say = (line: string) => log.for('postgres').info(line);
  const pg = systemd ? helperPostgres(config, HELPER_SOCKET, say) : postgresOf(config, driver, say);
  return {
    config,
    pg,
    consul: createConsulServer(config, driver, () => loadSecurity(config)?.consul),
    services: createServiceRunner(config.services, driver),
    doors: [],
    machine: systemd ? systemdMachine : noMachine,
    close: () => pg.close(),
  };
}
