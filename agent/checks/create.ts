/** The check-runner of one node, put together. */
import { type CheckName, type CheckSettings, effectiveChecks, type NodeConfig } from '../config/index.ts';
import type { ConsulCatalog } from '../consul/port_catalog.ts';
import type { CheckSummary } from '../core/ports.ts';
import type { Logger } from '../log/log.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import { clockCheck } from './clock.ts';
import { consul } from './consul.ts';
import { consulTtl } from './consul_ttl.ts';
import { disk } from './disk.ts';
import { type FilesReader, filesync } from './filesync.ts';
import { heartbeat } from './heartbeat.ts';
import { limitOf, REPLICATION_WAIT } from './limits.ts';
import type { Check, PgTarget, Readers } from './port.ts';
import { postgresFollowing } from './postgres_following.ts';
import { postgresPort } from './postgres_port.ts';
import { postgresSelect } from './postgres_select.ts';
import { postgresWrite } from './postgres_write.ts';
import { Runner } from './runner.ts';
import { services } from './services.ts';
import { systemTimers, type Timers } from './timers.ts';

export interface ChecksDeps {
  /** Its node_name is the node's name in Consul, too. */
  readonly config: NodeConfig;
  readonly readers: Readers;
  readonly log: Logger;
  /** The local server first. null: a node without Consul; neither checked nor told. */
  readonly catalog: ConsulCatalog | null;
  readonly clock?: Clock;
  readonly timers?: Timers;
  /** The replicated files; left out: none are. */
  readonly files?: FilesReader;
  /** Checks made elsewhere (certificates). */
  readonly more?: readonly Check[];
}

export interface Checks {
  /** Every check runs at once, then in its rhythm. */
  start(): void;
  /** Ends every run and lets go of every connection. Consul keeps the service, whose checks turn critical. */
  stop(): void;
  summary(): CheckSummary;
  /** Called at once when a check's status, or its place in the summary, has changed. */
  onChange(callback: () => void): void;
  /** Run this check now, as when its process ended or its connection broke. */
  poke(name: CheckName): void;
  /** The role has changed: the checks that depend on it run now, and Consul learns the tag. */
  roleChanged(): void;
}

export function createChecks(deps: ChecksDeps): Checks {
  const { config, readers, catalog, log, clock = systemClock, timers = systemTimers } = deps;
  const settings = effectiveChecks(config);
  const checks = checksOf(deps, settings, clock);
  const runner = new Runner({
    checks: checks.map((check) => ({
      check,
      settings: settings[check.name],
      limit: limitOf(check.name, settings[check.name], config.checks.check_ttl_multiplier),
    })),
    failFast: config.checks.check_fail_fast,
    role: () => readers.role(),
    clock,
    timers,
    log,
  });
  const publisher =
    catalog === null
      ? null
      : consulTtl({
          catalog,
          node: config.node_name,
          address: config.host_ip,
          port: config.api.port,
          ttls: Object.fromEntries(checks.map(({ name }) => [name, settings[name].ttl])),
          reports: () => runner.reports(),
          role: () => readers.role(),
          clock,
          timers,
          log,
        });
  if (publisher !== null) runner.onChange(() => publisher.wake());

  return {
    start() {
      runner.start();
      publisher?.start();
    },
    stop() {
      publisher?.stop();
      runner.stop();
    },
    summary: () => runner.summary(),
    onChange: (callback) => runner.onChange(callback),
    poke: (name) => runner.poke(name),
    roleChanged() {
      for (const check of checks) if (check.ofRole) runner.poke(check.name);
      publisher?.wake();
    },
  };
}

function checksOf(
  { config, readers, catalog, files, more = [] }: ChecksDeps,
  settings: Record<CheckName, CheckSettings>,
  clock: Clock,
): Check[] {
  const now = () => clock.now();
  const target: PgTarget = {
    host: config.host_ip,
    port: config.postgres.port,
    socketDir: config.postgres.socket_dir,
    user: config.postgres.superuser,
    database: config.postgres.database,
  };
  const optional = config.services.filter((service) => !service.critical).map((service) => service.name);
  const folders = { 'the database': config.postgres.data_dir, 'the agent': config.paths.state_dir };
  const replicationWait =
    config.synchronous_mode === 'strict'
      ? Number.POSITIVE_INFINITY
      : REPLICATION_WAIT * config.checks.check_ttl_multiplier;
  const select = postgresSelect(target, now);
  const sparing = {
    now,
    answeredAt: select.answeredAt,
    trust: settings.postgres_select.every * 1.5,
    knockEvery: settings.postgres_port.ttl,
  };
  return [
    postgresPort(target, readers, sparing),
    select,
    postgresFollowing(readers, now, settings.postgres_following.ttl),
    postgresWrite(target, readers, now, replicationWait),
    services(readers, optional),
    ...(catalog === null ? [] : [consul(catalog, config.node_name)]),
    heartbeat(readers, now, settings.heartbeat.ttl),
    disk(folders, config.checks.disk_free_min),
    clockCheck(config.checks.clock_max_offset, () => clock.wall().getTime()),
    ...(files === undefined
      ? []
      : [filesync(files, { now, wall: () => clock.wall(), ttl: settings.filesync.ttl, role: readers.role })]),
    ...more,
  ];
}
