/** This node's Consul server as a child of the agent (dev cluster): its files, its start, and when it is ready. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { consulBind, type NodeConfig } from '../config.ts';
import { createConsulClient } from '../consul/client.ts';
import { BOOTSTRAP_FILE, renderBootstrapConfig, renderServerConfig } from '../consul/server_config.ts';
import { AgentError } from '../errors.ts';
import { sleep } from '../platform/clock.ts';
import { makeDir, writeDurably } from '../platform/files.ts';
import { consulBinary } from '../platform/paths.ts';
import type { ServiceDriver, ServiceUnit } from './services/driver.ts';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;

export type ConsulServer = {
  readonly unit: ServiceUnit;
  /** Writes the configuration and starts it. `bootstrap`: the very first server; its extra file goes once there is a leader. */
  start(options: { bootstrap: boolean; join: readonly string[] }): Promise<void>;
  /** Does it have what it committed to? An empty server under a known address could elect one that lacks the lease. */
  hasData(): boolean;
  /** Resolves when a leader is known; throws `consul_no_leader` (transient) after `ms`. */
  waitLeader(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves when this server is a voter; throws `consul_not_voting` after `ms`. */
  waitVoter(ms: number): Promise<void>;
  stop(): Promise<void>;
  /** Stops it and removes its data and configuration: for a join that is undone. */
  wipe(): Promise<void>;
};

export function createConsulServer(config: NodeConfig, driver: ServiceDriver): ConsulServer {
  const { consul } = config;
  const binary = consulBinary(config);
  const unit: ServiceUnit = {
    name: 'consul',
    command: binary ?? 'consul',
    args: ['agent', `-config-dir=${consul.config_dir}`],
    cwd: consul.data_dir,
    stopSignal: 'SIGTERM',
    stopTimeout: 10_000,
  };
  const client = createConsulClient({
    servers: [`http://${consul.http_address}:${consul.http_port}`],
    deadlineMs: 1000,
    attemptMs: 1000,
  });

  const hasData = () => existsSync(join(consul.data_dir, 'raft', 'raft.db'));
  let wanted = false;
  /** It has taken part: without its data it must not come back by itself. */
  let member = false;
  let pause = FIRST_PAUSE;
  // A Consul that ended by itself is started again, ever more slowly when it does not stay.
  driver.onExit((exit) => {
    if (exit.name !== unit.name || exit.expected || !wanted) return;
    setTimeout(() => {
      if (wanted && (!member || hasData())) void driver.start(unit).catch(() => {});
    }, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
    setTimeout(() => {
      pause = FIRST_PAUSE;
    }, LONGEST_PAUSE * 2).unref();
  });

  async function wait(
    ms: number,
    what: () => Promise<boolean>,
    code: string,
    message: string,
  ): Promise<void> {
    const until = performance.now() + ms;
    while (performance.now() < until) {
      if (await what()) return;
      await sleep(100);
    }
    throw new AgentError({
      class: 'transient',
      code,
      message,
      hint: `see the log of consul, and that ${consulBind(config)} is reachable`,
    });
  }

  return {
    unit,
    async start({ bootstrap, join: others }) {
      if (binary === undefined) {
        throw new AgentError({
          class: 'operator',
          code: 'consul_missing',
          message: 'there is no consul executable',
          hint: 'install Consul 1.8 or later, or set consul.binary',
        });
      }
      makeDir(consul.data_dir);
      makeDir(consul.config_dir);
      const file = renderServerConfig({
        nodeName: config.node_name,
        bindAddr: consulBind(config),
        clientAddr: consul.http_address,
        dataDir: consul.data_dir,
        retryJoin: others,
        datacenter: consul.datacenter,
        ports: { http: consul.http_port, server: consul.server_port, serfLan: consul.serf_port },
      });
      writeDurably(join(consul.config_dir, file.name), file.content);
      if (bootstrap) {
        const extra = renderBootstrapConfig();
        writeDurably(join(consul.config_dir, extra.name), extra.content);
      }
      wanted = true;
      member ||= hasData();
      await driver.start(unit);
    },
    hasData,
    async waitLeader(ms) {
      await wait(
        ms,
        async () => hasLeader(await client.catalog.leader({ target: 'local' })),
        'consul_no_leader',
        'Consul elected no leader in time',
      );
      member = true;
      rmSync(join(consul.config_dir, BOOTSTRAP_FILE), { force: true });
      const settings = { cleanupDeadServers: false, serverStabilizationMs: 0 };
      await wait(
        10_000,
        async () => (await client.catalog.ensureAutopilot(settings)).kind === 'ok',
        'consul_autopilot',
        'autopilot could not be set',
      );
    },
    async waitVoter(ms) {
      const own = `${consulBind(config)}:${consul.server_port}`;
      await wait(
        ms,
        async () => {
          const raft = await client.catalog.raftConfiguration();
          return raft.kind === 'ok' && raft.value.some((server) => server.address === own && server.voter);
        },
        'consul_not_voting',
        'this Consul server did not become a voter in time',
      );
      member = true;
    },
    async stop() {
      wanted = false;
      await driver.stop(unit);
    },
    async wipe() {
      wanted = false;
      member = false;
      await driver.stop(unit);
      rmSync(consul.data_dir, { recursive: true, force: true });
      rmSync(consul.config_dir, { recursive: true, force: true });
    },
  };
}

function hasLeader(answer: { kind: string; value?: string | undefined }): boolean {
  return answer.kind === 'ok' && answer.value !== undefined && answer.value !== '';
}
