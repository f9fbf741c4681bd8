/** The agent of one machine: in no cluster yet, or in one. Start and join (agent/membership/) turn the one into the other. */
import type { JoinOptions, LogLine, Operation, StartOptions } from '../api/types.ts';
import type { Checks } from '../checks/create.ts';
import type { Config, ConfigInput, NodeConfig } from '../config/index.ts';
import type { CheckSummary } from '../core/ports.ts';
import type { Position } from '../core/postgres.ts';
import { AgentError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { type Entering, enteringOf } from '../membership/entering.ts';
import { createMembers, type Members } from '../membership/members.ts';
import { namedConfig, refuseOptions } from '../membership/named.ts';
import { refuseSharedUser } from '../membership/own_user.ts';
import { every, SWEEP } from '../membership/reservation.ts';
import { createTracker } from '../membership/tracker.ts';
import { checksOf } from '../node/checks.ts';
import { type Cluster, createCluster } from '../node/member.ts';
import { createParts, type Parts } from '../node/parts.ts';
import type { ServiceDriver } from '../roles/services/driver.ts';
import type { ServiceRunner } from '../roles/services/runner.ts';
import { certifyPostgres } from '../security/door.ts';
import { replicationNames } from '../security/names.ts';
import { type CertificateUsers, renewExpired } from '../security/renew.ts';
import { durableStore, joiningStore, type Membership, membershipStore } from '../state/identity.ts';
import { inForce } from './in_force.ts';
import { type SettingsWatch, watchSettings } from './server_settings.ts';

/** Copies, rewinds and services take as long as they take, inside one round of the loop. */
const LONG_ACTIONS: readonly (string | null)[] = ['rebuild', 'services_up', 'services_down', 'repair'];
const ROUND = 60_000;

const goesRound = (node: Cluster['node']): boolean =>
  LONG_ACTIONS.includes(node.main.acting) || node.now() - node.main.tickAt < ROUND;

export type Agent = ReturnType<typeof createAgent>;

export function createAgent(
  input: ConfigInput,
  config: Config,
  driver: ServiceDriver,
  log: Log,
  listen: (config: NodeConfig) => Promise<void>,
  /** The listeners show the certificates that there are now. */
  relisten: () => Promise<void> = async () => {},
) {
  const memberships = membershipStore(config);
  const configuration = inForce(config.paths.config, config);
  const tracker = createTracker();
  let parts: Parts | null = null;
  let cluster: Cluster | null = null;
  let members: Members | null = null;
  let membership: Membership | null = null;
  let sweeper: AbortController | null = null;
  let checks: Checks | null = null;
  let settings: SettingsWatch | null = null;

  function refuseMember(): void {
    if (cluster === null) return;
    throw new AgentError({
      class: 'operator',
      code: 'already_in_cluster',
      message: 'this manager is in a cluster already',
      hint: "see 'agent cluster status'",
    });
  }

  async function partsFor(node: NodeConfig): Promise<Parts> {
    if (parts !== null && JSON.stringify(parts.config) === JSON.stringify(node)) return parts;
    await parts?.close();
    parts = createParts(node, driver, log);
    return parts;
  }

  /** Run the core. The membership and the clone id are durable before. */
  async function become(made: Parts, joined: Membership, clone?: string): Promise<void> {
    const node = made.config;
    const store = durableStore(node);
    store.save({
      ...store.load(),
      ...(clone === undefined ? {} : { clone }),
      clusterId: joined.clusterId,
      incarnation: joined.incarnation,
    });
    memberships.save(joined);
    membership = joined;
    // Its end is not waited for: a large index takes a while, and what it lacks is a fact.
    void made.files.start().catch((thrown: unknown) => log.for('handler-runner').error('files:', thrown));
    let summary = () => ({ failing: [], weak: [], all: {} }) as CheckSummary;
    const running = createCluster({
      config: node,
      membership: joined,
      log,
      parts: made,
      remember(hosts) {
        if (membership === null || membership.consulServers.join() === hosts.join()) return;
        membership = { ...membership, consulServers: [...hosts] };
        memberships.save(membership);
      },
      whenRemoved() {
        if (membership === null) return;
        membership = { ...membership, removed: true };
        memberships.save(membership);
      },
      checks: () => summary(),
      progress: (step) => log.for('postgres').debug(step.what, step.bytes ?? ''),
    });
    cluster = running;
    const admitting = createMembers(running, made, joined);
    members = admitting;
    settings = watchSettings(made.pg, log.for('postgres'));
    sweeper = every(SWEEP, () => admitting.sweep(), log.for('agent'));
    const runner = checksOf(node, running, made.files, log.for('check-runner'));
    checks = runner;
    summary = runner.summary;
    runner.onChange(() => running.node.wake());
    let role = '';
    running.onDecision((_, facts) => {
      const now = `${facts.lease.state} ${facts.pg.role} ${facts.fence}`;
      if (now !== role) runner.roleChanged();
      role = now;
    });
    runner.start();
    driver.onExit((exit) => {
      running.node.wake();
      if (exit.name !== 'postgres') runner.poke('services');
    });
    await listen(node);
  }

  /** Ends the core; the parts stay usable. */
  async function leave(): Promise<void> {
    sweeper?.abort();
    settings?.stop();
    checks?.stop();
    await cluster?.close();
    checks = null;
    cluster = null;
    members = null;
    membership = null;
  }

  const entering: Entering = enteringOf({
    memberships,
    joining: joiningStore(config),
    log: log.for('agent'),
    become,
    leave,
    cluster: () => cluster,
    entered() {
      if (membership === null) return;
      membership = { ...membership, entered: true };
      memberships.save(membership);
    },
  });

  const named = (options: StartOptions): NodeConfig => namedConfig(input, config, options);

  return {
    tracker,
    configuration: () => settings?.report(configuration.report()) ?? configuration.report(),
    get cluster() {
      return cluster;
    },
    get members() {
      return members;
    },
    get services(): ServiceRunner | null {
      return parts?.services ?? null;
    },
    get parts(): Parts | null {
      return parts;
    },
    /** What takes new certificates up without a restart. */
    certificateUsers: (made: Parts): CertificateUsers => ({
      agent: relisten,
      consul: () => made.consul.reload(),
      postgres: () => certifyPostgres(made.pg, made.security, replicationNames(cluster?.admitted() ?? {})),
    }),
    get nodeConfig(): NodeConfig | null {
      return parts?.config ?? null;
    },
    /** Does the main loop go round? Otherwise systemd's watchdog is to end this process. */
    healthy: (): boolean => cluster === null || goesRound(cluster.node),
    nodeName: () => parts?.config.node_name ?? config.node_name ?? null,
    secret: (): string | null => membership?.secret ?? null,
    prefix: () => `${config.consul.prefix}/`,
    position: async (ms: number): Promise<Position | null> =>
      parts === null ? null : await parts.pg.position(ms),
    logs: (query: {
      since?: string | undefined;
      component?: string | undefined;
      limit?: number | undefined;
    }): LogLine[] =>
      log.ring.read(Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined))),
    onLog: (callback: (line: LogLine) => void) => log.ring.follow(callback),

    /** Take up an earlier membership, if there is one, or clear away what an interrupted join left. */
    async resume(): Promise<boolean> {
      const known = memberships.load();
      if (known === undefined) {
        const left = joiningStore(config).load();
        if (left !== undefined) await entering.clear(await partsFor(named(left)));
        return false;
      }
      // From the membership on its data may be a vote's: nothing may ever take it for a join's leftovers.
      joiningStore(config).forget();
      const node = named({
        nodeName: known.nodeName,
        hostIp: known.hostIp,
        ...(known.publicIp === null ? {} : { publicIp: known.publicIp }),
        options: known.options,
      });
      if (known.removed) {
        log.for('agent').error('this node was removed from its cluster: its data is kept, nothing runs');
        return false;
      }
      const renewed = await renewExpired(node, Date.now());
      const made = await partsFor(node);
      await entering.resume(made, known);
      if (renewed) await made.consul.reload().catch((thrown: unknown) => log.for('agent').warn(thrown));
      return true;
    },

    async start(options: StartOptions): Promise<Operation> {
      refuseMember();
      configuration.refuse();
      refuseOptions(input, config, options);
      refuseSharedUser(config);
      entering.refuseUnfinished();
      const made = await partsFor(named(options));
      return tracker.begin('start', (steps) => entering.start(made, options, steps));
    },

    async join(options: JoinOptions): Promise<Operation> {
      refuseMember();
      configuration.refuse();
      refuseOptions(input, config, options);
      refuseSharedUser(config);
      entering.refuseUnfinished();
      const made = await partsFor(named(options));
      await entering.refuseUnlessEmpty(made);
      return tracker.begin('join', (steps) => entering.join(made, options, steps));
    },

    async close(): Promise<void> {
      await leave();
      await parts?.close();
      await driver.close();
    },
  };
}
