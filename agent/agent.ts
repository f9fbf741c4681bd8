/** The agent of one machine: in no cluster yet, or in one. Start and join turn the one into the other. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Checks } from './checks/create.ts';
import { checksOf } from './checks_of.ts';
import { type Cluster, createCluster } from './cluster.ts';
import type { Config, ConfigInput, NodeConfig } from './config.ts';
import { createConsulClient } from './consul/client.ts';
import type { CheckSummary } from './core/facts.ts';
import type { Position } from './core/postgres.ts';
import { AgentError } from './errors.ts';
import { createPeerCalls } from './http/peer_calls.ts';
import type { JoinOptions, LogLine, Operation, StartOptions } from './http/port.ts';
import { durableStore, type Membership, membershipStore } from './identity.ts';
import type { Log } from './log.ts';
import { admitRequestOf, joinCluster, refuseUnlessEmpty } from './operations/join.ts';
import { createMembers, type Members } from './operations/members.ts';
import { namedConfig } from './operations/named.ts';
import { startCluster } from './operations/start.ts';
import { createTracker } from './operations/tracker.ts';
import { type ConsulServer, createConsulServer } from './roles/consul_server.ts';
import type { Postgres } from './roles/postgres/port.ts';
import { postgresOf } from './roles/postgres_of.ts';
import { createServiceRunner, type ServiceRunner } from './roles/service_runner.ts';
import type { ServiceDriver } from './roles/services/driver.ts';

export type Agent = ReturnType<typeof createAgent>;

export function createAgent(
  input: ConfigInput,
  config: Config,
  driver: ServiceDriver,
  log: Log,
  listen: (config: NodeConfig) => Promise<void>,
) {
  const memberships = membershipStore(config);
  const tracker = createTracker();
  let nodeConfig: NodeConfig | null = null;
  let cluster: Cluster | null = null;
  let members: Members | null = null;
  let membership: Membership | null = null;
  let services: ServiceRunner | null = null;
  let checks: Checks | null = null;
  let pg: Postgres | null = null;
  let consul: ConsulServer | null = null;
  const progress: ((step: { what: string; bytes?: number; total?: number }) => void) | null = null;

  function refuseMember(): void {
    if (cluster === null) return;
    throw new AgentError({
      class: 'operator',
      code: 'already_in_cluster',
      message: 'this manager is in a cluster already',
      hint: "see 'agent cluster status'",
    });
  }

  function partsFor(node: NodeConfig): { pg: Postgres; consul: ConsulServer } {
    if (
      pg === null ||
      nodeConfig === null ||
      nodeConfig.host_ip !== node.host_ip ||
      nodeConfig.node_name !== node.node_name
    ) {
      void pg?.close();
      pg = postgresOf(node, driver, (line) => log.for('postgres').info(line));
      consul = createConsulServer(node, driver);
      nodeConfig = node;
    }
    return { pg, consul: consul as ConsulServer };
  }

  /** Run the core. The membership and the clone id are durable before. */
  async function become(node: NodeConfig, joined: Membership, clone?: string): Promise<void> {
    const parts = partsFor(node);
    membership = joined;
    const store = durableStore(node);
    const durable = store.load();
    store.save({
      ...durable,
      ...(clone === undefined ? {} : { clone }),
      clusterId: membership.clusterId,
      incarnation: membership.incarnation,
    });
    memberships.save(membership);
    services = createServiceRunner(node.services, driver);
    let summary = () => ({ failing: [], weak: [], all: {} }) as CheckSummary;
    const made = createCluster({
      config: node,
      membership: joined,
      log,
      pg: parts.pg,
      services,
      checks: () => summary(),
      progress: (step) => {
        progress?.(step);
        log.for('postgres').debug(step.what, step.bytes ?? '');
      },
    });
    cluster = made;
    members = createMembers(made, node, joined, parts.pg, made.ports);
    const runner = checksOf(node, made, log.for('check-runner'));
    checks = runner;
    summary = runner.summary;
    runner.onChange(() => made.node.wake());
    let role = '';
    made.onDecision((_, facts) => {
      const now = `${facts.lease.state} ${facts.pg.role} ${facts.fence}`;
      if (now !== role) runner.roleChanged();
      role = now;
    });
    runner.start();
    driver.onExit((exit) => {
      made.node.wake();
      if (exit.name !== 'postgres') runner.poke('services');
    });
    await listen(node);
  }

  async function leave(): Promise<void> {
    checks?.stop();
    await cluster?.close();
    checks = null;
    cluster = null;
    members = null;
    pg = null;
    membership = null;
  }

  return {
    tracker,
    get cluster() {
      return cluster;
    },
    get members() {
      return members;
    },
    get services() {
      return services;
    },
    get nodeConfig() {
      return nodeConfig;
    },
    nodeName: () => nodeConfig?.node_name ?? config.node_name ?? null,
    secret: (): string | null => membership?.secret ?? null,
    prefix: () => `${config.consul.prefix}/`,
    position: async (ms: number): Promise<Position | null> => (pg === null ? null : await pg.position(ms)),
    logs: (query: {
      since?: string | undefined;
      component?: string | undefined;
      limit?: number | undefined;
    }): LogLine[] =>
      log.ring.read(Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined))),
    onLog: (callback: (line: LogLine) => void) => log.ring.follow(callback),

    /** Take up an earlier membership, if there is one. */
    async resume(): Promise<boolean> {
      const membership = memberships.load();
      if (membership === undefined) return false;
      const node = namedConfig(input, config, {
        nodeName: membership.nodeName,
        hostIp: membership.hostIp,
        ...(membership.publicIp === null ? {} : { publicIp: membership.publicIp }),
      });
      const parts = partsFor(node);
      if (node.consul.mode === 'child') {
        if (parts.consul.hasData()) {
          await parts.consul.start({ bootstrap: false, join: membership.consulServers });
        } else {
          // PROTOCOL F: its blank vote could elect a server without the committed lease. The others' servers are asked.
          log
            .for('agent')
            .error(`the data of Consul is gone: not started. Remove ${node.node_name} and join it again`);
        }
      }
      await become(node, membership);
      return true;
    },

    async start(options: StartOptions): Promise<Operation> {
      refuseMember();
      const node = namedConfig(input, config, options);
      const parts = partsFor(node);
      const client = createConsulClient({
        servers: [`http://${node.consul.http_address}:${node.consul.http_port}`],
      });
      return tracker.begin('start', (steps) =>
        startCluster(
          {
            config: node,
            ...parts,
            kv: client.kv,
            become: (membership) => become(node, membership),
            opened: () => ({
              open:
                cluster?.node.fence === 'open' && cluster.node.view?.active?.value.node === node.node_name,
              reason: cluster?.last()?.decision.reason ?? 'starting',
            }),
          },
          steps,
        ),
      );
    },

    async join(options: JoinOptions): Promise<Operation> {
      refuseMember();
      const node = namedConfig(input, config, options);
      refuseUnlessEmpty(node);
      const parts = partsFor(node);
      const calls = createPeerCalls(node.api.port);
      return tracker.begin('join', (steps) =>
        joinCluster(
          {
            config: node,
            ...parts,
            addresses: options.addresses,
            request: admitRequestOf(node),
            admit: calls.admit,
            enrol: calls.enrol,
            become: (membership, clone) => become(node, membership, clone),
            undo: async () => {
              await leave();
              await parts.pg.stop('immediate', 5000, false);
              await parts.consul.wipe();
              memberships.forget();
              durableStore(node).forget();
              rmSync(node.postgres.data_dir, { recursive: true, force: true });
              rmSync(join(node.paths.state_dir, 'postgres'), { recursive: true, force: true });
            },
            following: () => ({
              streaming: cluster?.node.pg?.streaming ?? false,
              reason: cluster?.last()?.decision.reason ?? 'starting',
            }),
          },
          steps,
        ),
      );
    },

    async close(): Promise<void> {
      await leave();
      await driver.close();
    },
  };
}
