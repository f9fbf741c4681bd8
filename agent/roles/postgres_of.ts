/** The PostgreSQL driver as this node's configuration wants it, its server run by the service driver. */

import { join } from 'node:path';
import process from 'node:process';
import { type NodeConfig, postgresListen } from '../config.ts';
import { AgentError } from '../errors.ts';
import { agentFiles, postgresBinDir } from '../platform/paths.ts';
import { createPostgres } from './postgres/index.ts';
import { type PgOptions, pgDefaults, type Starter } from './postgres/options.ts';
import type { Postgres } from './postgres/port.ts';
import type { ServiceDriver, ServiceUnit } from './services/driver.ts';

const UNIT = 'postgres';

export function postgresOf(config: NodeConfig, driver: ServiceDriver, say: (line: string) => void): Postgres {
  const { postgres, paths } = config;
  const binDir = postgresBinDir(config);
  if (binDir === undefined) {
    throw new AgentError({
      class: 'operator',
      code: 'postgres_missing',
      message: 'there is no PostgreSQL server here',
      hint: 'install PostgreSQL 13 to 18, or set postgres.bin_dir',
    });
  }
  const logFile = join(agentFiles(config).servicesLog, `${UNIT}.log`);
  const options: PgOptions = {
    ...pgDefaults,
    node: config.node_name,
    binDir,
    dataDir: postgres.data_dir,
    confDir: join(paths.state_dir, 'postgres'),
    socketDir: postgres.socket_dir,
    host: config.host_ip,
    port: postgres.port,
    listen: postgresListen(config),
    superuser: postgres.superuser,
    replicationUser: postgres.replication_user,
    database: postgres.database,
    ...(postgres.client_hba === undefined ? {} : { clientHba: postgres.client_hba }),
    walCap: postgres.wal_cap,
    divergedDir: paths.diverged_dir,
    dumpLimit: postgres.dump_limit,
    logFile,
    parameters: { ...postgres.parameters },
    ...(postgres.original_config === undefined ? {} : { originalConfig: postgres.original_config }),
    ...(postgres.original_hba === undefined ? {} : { originalHba: postgres.original_hba }),
    starter: starterOf(driver, logFile, say),
  };
  return createPostgres(options);
}

function starterOf(driver: ServiceDriver, logFile: string, say: (line: string) => void): Starter {
  const unitFor = (command: string[]): ServiceUnit => {
    const [program, ...args] = command;
    return { name: UNIT, command: program ?? 'postgres', args, logFile, stopSignal: 'SIGINT' };
  };
  let pid: number | null = null;
  const callbacks: (() => void)[] = [];
  driver.onExit((exit) => {
    if (exit.name !== UNIT) return;
    pid = null;
    if (!exit.expected) say(`the server ended${exit.signal === undefined ? '' : ` by ${exit.signal}`}`);
    for (const callback of callbacks) callback();
  });
  // Takes up a server that an earlier agent started.
  void driver.status({ name: UNIT }).then((status) => {
    pid ??= status.state === 'running' ? (status.pid ?? null) : null;
  });
  return {
    async start(command) {
      const status = await driver.start(unitFor(command));
      pid = status.pid ?? null;
    },
    pid: () => pid,
    kill(signal) {
      if (pid === null) return;
      try {
        process.kill(pid, signal);
      } catch {
        // gone already: its exit is on the way
      }
    },
    onExit: (callback) => {
      callbacks.push(callback);
    },
  };
}
