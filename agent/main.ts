/** `agent run`: composition root of the daemon. */
import process from 'node:process';
import { apiListen, type Config, loadConfig, type NodeConfig } from './config/index.ts';
import { Agent } from './daemon/agent.ts';
import { createApi } from './daemon/api.ts';
import { followAuthorityInTime } from './daemon/authority_timer.ts';
import { noteRunning } from './daemon/in_force.ts';
import { createCredentials } from './http/credentials.ts';
import { createHttpServer, type HttpServer } from './http/server.ts';
import { agentLog } from './log/log.ts';
import { acquireLock } from './platform/lockfile.ts';
import { startNotify } from './platform/notify.ts';
import { agentFiles, makeAgentDirs } from './platform/paths.ts';
import { machineStops } from './platform/shutting_down.ts';
import { childDriver } from './roles/services/child.ts';
import type { ServiceDriver } from './roles/services/driver.ts';
import { systemdDriver } from './roles/services/systemd.ts';
import { temporaryTls } from './security/certificates.ts';
import { renamingDue } from './security/names.ts';
import { renewInTime } from './security/renew.ts';
import { commit, version } from './version.ts';

/** How long a machine that goes down waits for the handover, ms. */
const SHUTDOWN = 6000;

/**
 * Runs until SIGTERM or SIGINT; the exit code. PostgreSQL, Consul and the services go on without the agent.
 */
export async function runAgent(configPath: string): Promise<number> {
  const { input, config } = loadConfig(configPath);
  makeAgentDirs(config);
  const files = agentFiles(config);
  const lock = acquireLock(files.lockDir, files.lockName);
  const log = agentLog(config);
  log.for('agent').info(`agent ${version} (${commit}) starts, configuration ${config.paths.config}`);
  noteRunning(config, (why) => log.for('agent').warn(why));
  const driver = driverOf(config);
  const agent = new Agent({
    input,
    config,
    driver,
    log,
    listen: (node) => listenOn(server, node),
    relisten: () => server.renew(),
  });
  const temporary = temporaryTls(() => agent.nodeConfig?.host_ip ?? config.host_ip);
  const api = createApi(agent);
  const server: HttpServer = createHttpServer({
    api,
    manager: config.manager,
    log: log.for('http'),
    secret: () => agent.secret(),
    open: !config.api.tls,
    ...(config.api.tls
      ? {
          tls: async () => agent.parts?.security.current()?.tls ?? (await temporary()),
          people: createCredentials({
            ...config.api,
            onCheap: (name) =>
              log
                .for('http')
                .warn(
                  `the password of ${name} has a hash of an outdated cost: make a new one ('agent hash-password') and put it under api.users`,
                ),
          }),
        }
      : {}),
  });
  await server.listenSocket(config.paths.socket);
  let stopRenewal = () => {};
  let stopAuthority = () => {};
  try {
    if (!(await agent.resume())) {
      log.for('agent').info("in no cluster: waiting for 'agent cluster start' or 'agent cluster join'");
      await listenEarly(config, server);
    }
    stopRenewal = renewInTime({
      config: () => (agent.member === null ? null : agent.nodeConfig),
      renew: () => api.renewCertificates(),
      renaming: () => renamingDue(agent.member?.node, agent.parts?.security),
      log: log.for('agent'),
      wall: () => Date.now(),
    });
    stopAuthority = followAuthorityInTime(agent, log.for('agent'));
    const notifier = startNotify({ healthy: () => agent.healthy() });
    await stopped();
    await notifier.stopping();
    // A machine that goes down hands over; an agent that restarts leaves everything as it is (PROTOCOL H.3).
    if (agent.member !== null && (await machineStops())) await agent.member.shutdown(SHUTDOWN);
  } finally {
    stopRenewal();
    stopAuthority();
    log.for('agent').info('the agent stops; PostgreSQL, Consul and the services keep running');
    await server.close();
    await agent.close();
    await log.close();
    lock.release();
  }
  return 0;
}

function driverOf(config: Config): ServiceDriver {
  if (config.driver === 'systemd') return systemdDriver();
  const files = agentFiles(config);
  return childDriver({ runDir: files.servicesRun, logDir: files.servicesLog });
}

const listenOn = (server: HttpServer, node: NodeConfig): Promise<void> =>
  server.listenTcp(apiListen(node), node.api.port);

/** A node that knows its address answers there before it is in a cluster, too. */
async function listenEarly(config: Config, server: HttpServer): Promise<void> {
  const { node_name, host_ip } = config;
  if (node_name !== undefined && host_ip !== undefined)
    await listenOn(server, { ...config, node_name, host_ip });
}

function stopped(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => done());
  });
}
