/** What a node is made of beside the core: the parts that start and join use before there is a cluster. */
import type { NodeConfig } from './config.ts';
import type { HousekeepingParts } from './housekeeping.ts';
import type { Log } from './log.ts';
import { type ConsulServer, createConsulServer } from './roles/consul_server.ts';
import { type Machine, noMachine, systemdMachine } from './roles/machine.ts';
import type { Postgres } from './roles/postgres/port.ts';
import { postgresOf } from './roles/postgres_of.ts';
import { createServiceRunner, type ServiceRunner } from './roles/service_runner.ts';
import type { ServiceDriver } from './roles/services/driver.ts';

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
  const pg = postgresOf(config, driver, (line) => log.for('postgres').info(line));
  const systemd = config.driver === 'systemd';
  return {
    config,
    pg,
    consul: createConsulServer(config, driver),
    services: createServiceRunner(config.services, driver),
    doors: [],
    machine: systemd ? systemdMachine : noMachine,
    close: () => pg.close(),
  };
}
