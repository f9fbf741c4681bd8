/** The PostgreSQL driver as this node's configuration wants it, its server run by the service driver. */

import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { type NodeConfig, postgresListen } from '../../config/index.ts';
import { AgentError } from '../../errors.ts';
import { libpqOut } from '../../platform/environment.ts';
import { agentFiles, postgresBinDir } from '../../platform/paths.ts';
import { POSTGRES_LOG, UNITS } from '../../trampoline/names.ts';
import { createPostgres } from '../postgres/index.ts';
import { type PgOptions, pgDefaults, type Starter } from '../postgres/options.ts';
import type { Postgres } from '../postgres/port.ts';
import type { ServiceDriver, ServiceUnit } from '../services/driver.ts';

const UNIT = 'postgres';

export function postgresOf(config: NodeConfig, driver: ServiceDriver, say: (line: string) => void): Postgres {
  const options = serverOptions(config);
  const systemd = config.driver === 'systemd';
  return createPostgres({ ...options, say, starter: starterOf(driver, options.logFile, systemd, say) });
}

/** All but what starts it. Throws `postgres_missing` where there is no server. */
export function serverOptions(config: NodeConfig): Omit<PgOptions, 'starter'> & { logFile: string } {
  const options = postgresOptions(config);
  if (options === undefined) {
    throw new AgentError({
      class: 'operator',
      code: 'postgres_missing',
      message: 'there is no PostgreSQL server here',
      hint: 'install PostgreSQL 13 to 18, or set postgres.bin_dir',
    });
  }
  return options;
}

/** The same, undefined where there is no PostgreSQL. */
export function postgresOptions(
  config: NodeConfig,
): (Omit<PgOptions, 'starter'> & { logFile: string }) | undefined {
  const { postgres, paths } = config;
  const binDir = postgresBinDir(config);
  if (binDir === undefined) return undefined;
  const systemd = config.driver === 'systemd';
  return {
    ...pgDefaults,
    node: config.node_name,
    binDir,
    dataDir: postgres.data_dir,
    confDir: join(paths.state_dir, 'postgres'),
    socketDir: postgres.socket_dir,
    host: config.host_ip,
    port: postgres.port,
    listen: postgresListen(config),
    ...(postgres.listen === undefined ? {} : { listenDecided: true }),
    superuser: postgres.superuser,
    replicationUser: postgres.replication_user,
    database: postgres.database,
    ...(postgres.client_hba === undefined ? {} : { clientHba: postgres.client_hba }),
    walCap: postgres.wal_cap,
    divergedDir: paths.diverged_dir,
    dumpLimit: postgres.dump_limit,
    logFile: systemd ? POSTGRES_LOG : join(agentFiles(config).servicesLog, `${UNIT}.log`),
    parameters: {
      ...postgres.parameters,
      ...(postgres.max_connections === undefined
        ? {}
        : { max_connections: String(postgres.max_connections) }),
    },
    parametersFile: paths.config,
    ...originals(config),
    underSystemd: systemd,
    // On a VM agent and server are different users, and neither is what a client is.
    ...(systemd ? { localAuth: { users: [...new Set([config.user, userInfo().username])] } } : {}),
    ...(systemd && config.api.tls ? { replicationAuth: 'certificate' } : {}),
  };
}

/**
 * The manager's own files: as configured, else where Debian keeps those of this data directory. Its rules are
 * where these say.
 */
export function originals({ postgres }: Pick<NodeConfig, 'postgres'>): Partial<PgOptions> {
  const { data_dir, original_config, original_hba: hba } = postgres;
  const parts = /\/([^/]+)\/([^/]+)$/.exec(data_dir);
  const debian = parts && join('/etc/postgresql', parts[1] ?? '', parts[2] ?? '', 'postgresql.conf');
  const conf = original_config ?? (debian !== null && existsSync(debian) ? debian : undefined);
  return {
    ...(conf === undefined ? {} : { originalConfig: conf }),
    ...(hba === undefined ? {} : { originalHba: hba, originalIdent: join(dirname(hba), 'pg_ident.conf') }),
  };
}

export function starterOf(
  driver: ServiceDriver,
  logFile: string,
  systemd: boolean,
  say: (line: string) => void,
): Starter {
  const unitFor = (command: string[]): ServiceUnit => {
    // Its command is the unit's own, the same one. It recovers before it is ready: only its process is waited
    // for.
    if (systemd) return { name: UNIT, unit: UNITS.postgres, startWaits: 'process' };
    const [program, ...args] = command;
    // Its archive and restore commands are the manager's own.
    return {
      name: UNIT,
      command: program ?? 'postgres',
      args,
      managers: true,
      env: libpqOut(),
      logFile,
      stopSignal: 'SIGINT',
    };
  };
  let pid: number | null = null;
  /** The process that was told to end. */
  let told: number | null = null;
  const callbacks: (() => void)[] = [];
  driver.onExit((exit) => {
    if (exit.name !== UNIT) return;
    if (!exit.expected && exit.pid !== told)
      say(`the server ended${exit.signal === undefined ? '' : ` by ${exit.signal}`}`);
    // News of an old one may come when the next one runs already.
    if (exit.pid !== pid) return;
    pid = null;
    for (const callback of callbacks) callback();
  });
  // Takes up a server that an earlier agent started.
  void driver.status(systemd ? { name: UNIT, unit: UNITS.postgres } : { name: UNIT }).then((status) => {
    pid ??= status.state === 'running' ? (status.pid ?? null) : null;
  });
  return {
    async start(command) {
      pid = null;
      const status = await driver.start(unitFor(command));
      pid = status.pid ?? null;
    },
    pid: () => pid,
    kill(signal) {
      if (pid === null) return;
      if (signal !== 'SIGHUP') told = pid;
      try {
        process.kill(pid, signal);
      } catch {
        // gone already: its exit is on the way
      }
    },
    // The job outlives who filed it: systemd alone knows of it. A child is there when its start is over.
    ...(systemd ? { revoke: (ms: number) => driver.stop(unitFor([]), { timeout: ms }) } : {}),
    onExit: (callback) => {
      callbacks.push(callback);
    },
  };
}
