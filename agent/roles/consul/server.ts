/**
 * This node's Consul server as a unit, or as a child of the agent (dev cluster): its files, its start, and
 * when it is ready.
 */

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { consulBind, hostPort, localConsulUrl, type NodeConfig } from '../../config/index.ts';
import { type ConsulAdmin, createConsulAdmin } from '../../consul/admin.ts';
import { AgentError } from '../../errors.ts';
import { makeDir, writeDurably } from '../../platform/files.ts';
import { consulBinary } from '../../platform/paths.ts';
import type { ClientTls } from '../../platform/tls/fetch.ts';
import { UNITS } from '../../trampoline/names.ts';
import { callTrampoline } from '../root/call.ts';
import type { ServiceDriver, ServiceUnit } from '../services/driver.ts';
import { keepRunning } from '../services/keep_running.ts';
import { BOOTSTRAP_FILE, type ConsulSecurity, renderBootstrapConfig } from './config.ts';
import { elected, hasLeader, settled, wait } from './ready.ts';
import { writeConfig } from './write_config.ts';

export type ConsulServer = {
  readonly unit: ServiceUnit;
  /**
   * Writes the configuration and starts it. `bootstrap`: the very first server; its extra file goes once
   * there is a leader.
   */
  start(options: { bootstrap: boolean; join: readonly string[] }): Promise<void>;
  /**
   * Does it have what it committed to? An empty server under a known address could elect one that lacks the
   * lease.
   */
  hasData(): boolean;
  /** Resolves when a leader is known; throws `consul_no_leader` (transient) after `ms`. */
  waitLeader(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves when this server is a voter; throws `consul_not_voting` after `ms`. */
  waitVoter(ms: number): Promise<void>;
  /**
   * The running server reads its certificate again; nothing is restarted. Throws transient
   * `consul_not_reloaded`.
   */
  reload(): Promise<void>;
  /**
   * Writes the configuration anew, for the same members, for the next start: with another gossip key, for
   * example.
   */
  configure(): void;
  /** Calls that a node's own token does not allow, at the local server. */
  admin(): ConsulAdmin;
  /**
   * Out of Raft by its own will, so that those who stay keep their quorum: two voters of which one is wiped
   * have none. False when it was not confirmed within `ms`. Nothing to do without data.
   */
  leave(ms: number): Promise<boolean>;
  stop(): Promise<void>;
  /** Stops it and removes its data and configuration: for a join that is undone. */
  wipe(): Promise<void>;
};

/**
 * `own` is asked at each use: there is none before start or join have made it, and never in a plain cluster.
 */
export function createConsulServer(
  config: NodeConfig,
  driver: ServiceDriver,
  own: () => { readonly consul: ConsulSecurity; readonly tls: ClientTls } | undefined = () => undefined,
): ConsulServer {
  const { consul } = config;
  const security = () => (consul.tls ? own()?.consul : undefined);
  const binary = consulBinary(config);
  const unit = unitOf(config, binary);
  const admin = () => adminOf(config, () => own()?.tls, security()?.tokens);
  const hasData = () => existsSync(join(consul.data_dir, 'raft', 'raft.db'));
  let wanted = false;
  /** It has taken part: without its data it must not come back by itself. */
  let member = false;
  keepRunning(driver, unit, {
    firstPause: 100,
    wanted: () => wanted,
    start: async () => {
      if (!member || hasData()) await driver.start(unit);
    },
  });

  let joined: readonly string[] = [];
  const configure = () => writeConfig(config, security(), joined);

  return {
    unit,
    configure,
    admin,
    async start({ bootstrap, join: others }) {
      if (binary === undefined) throw missing();
      if (consul.mode === 'child') {
        makeDir(consul.data_dir);
        makeDir(consul.config_dir);
      }
      joined = others;
      configure();
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
      await elected(config, admin(), ms);
      member = true;
      rmSync(join(consul.config_dir, BOOTSTRAP_FILE), { force: true });
      await settled(config, admin(), security()?.tokens.node);
    },
    async waitVoter(ms) {
      const own = hostPort(consulBind(config), consul.server_port);
      const { catalog } = admin();
      await wait(
        config,
        ms,
        async () => {
          const raft = await catalog.raftConfiguration();
          return raft.kind === 'ok' && raft.value.some((server) => server.address === own && server.voter);
        },
        'consul_not_voting',
        'this Consul server did not become a voter in time',
      );
      member = true;
    },
    reload: () => reload(admin()),
    async leave(ms) {
      if (!hasData()) return true;
      await driver.start(unit);
      const { catalog, leave } = admin();
      try {
        const led = async () => hasLeader(await catalog.leader({ target: 'local' }));
        await wait(config, ms, led, 'consul_no_leader', 'Consul knows no leader');
      } catch {
        return false;
      }
      wanted = false;
      const left = await leave({ deadlineMs: ms, attemptMs: ms });
      return left.kind === 'ok';
    },
    async stop() {
      wanted = false;
      await driver.stop(unit);
    },
    async wipe() {
      wanted = false;
      member = false;
      await driver.stop(unit);
      if (consul.mode === 'systemd') {
        // The data is its own user's, and the folders are root's: they stay.
        await callTrampoline('consul', 'wipe');
        for (const name of readdirSync(consul.config_dir)) rmSync(join(consul.config_dir, name));
        return;
      }
      rmSync(consul.data_dir, { recursive: true, force: true });
      rmSync(consul.config_dir, { recursive: true, force: true });
    },
  };
}

function unitOf({ consul }: NodeConfig, binary: string | undefined): ServiceUnit {
  return {
    name: 'consul',
    // On a VM; its ExecStart is the command below.
    unit: UNITS.consul,
    command: binary ?? 'consul',
    args: ['agent', `-config-dir=${consul.config_dir}`],
    cwd: consul.data_dir,
    stopSignal: 'SIGTERM',
    stopTimeout: 10_000,
  };
}

function adminOf(
  config: NodeConfig,
  tls: () => ClientTls | undefined,
  tokens: ConsulSecurity['tokens'] | undefined,
): ConsulAdmin {
  // While it is not enrolled it has its own alone, which does for looking and for leaving.
  const token = tokens?.management || tokens?.node;
  return createConsulAdmin({
    servers: [localConsulUrl(config)],
    tls,
    // An election may be under way.
    deadlineMs: 5000,
    attemptMs: 1000,
    ...(token === undefined ? {} : { token }),
  });
}

const missing = () =>
  new AgentError({
    class: 'operator',
    code: 'consul_missing',
    message: 'there is no consul executable',
    hint: 'install Consul 1.8 or later, or set consul.binary',
  });

async function reload(admin: ConsulAdmin): Promise<void> {
  const done = await admin.reload();
  if (done.kind === 'ok') return;
  throw new AgentError({
    class: 'transient',
    code: 'consul_not_reloaded',
    message: `Consul did not reload: ${done.cause.message}`,
    hint: 'run the command again',
  });
}
