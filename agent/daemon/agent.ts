/**
 * The agent of one machine: in no cluster yet, or in one. Start and join (agent/membership/) turn the one
 * into the other.
 */
import type { JoinOptions, LogLine, Operation, StartOptions } from '../api/types.ts';
import type { Config, ConfigInput, NodeConfig } from '../config/index.ts';
import type { Position } from '../core/postgres.ts';
import { AgentError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { type Entering, enteringOf } from '../membership/entering.ts';
import type { Members } from '../membership/members.ts';
import { namedConfig, refuseOptions, refuseSharedUser } from '../membership/named.ts';
import { type Kept, keptOf, type OwnCore } from '../membership/own_core.ts';
import { createTracker } from '../membership/tracker.ts';
import type { Member } from '../node/member.ts';
import { createParts, type Parts } from '../node/parts.ts';
import type { ServiceDriver } from '../roles/services/driver.ts';
import type { ServiceRunner } from '../roles/services/runner.ts';
import { certifyPostgres } from '../security/door.ts';
import { replicationNames } from '../security/names.ts';
import { type CertificateUsers, renewExpired } from '../security/renew.ts';
import { durableStore, type Membership } from '../state/identity.ts';
import { inForce } from './in_force.ts';
import { goesRound, type Running, run as runCore } from './running.ts';

export type AgentParts = {
  /** As it was written, and as it is in force. */
  readonly input: ConfigInput;
  readonly config: Config;
  readonly driver: ServiceDriver;
  readonly log: Log;
  readonly listen: (config: NodeConfig) => Promise<void>;
  /** The listeners show the certificates that there are now. */
  readonly relisten: () => Promise<void>;
};

export class Agent implements OwnCore {
  readonly tracker = createTracker();
  readonly #given: AgentParts;
  readonly #kept: Kept;
  readonly #configuration: ReturnType<typeof inForce>;
  readonly #entering: Entering;
  #parts: Parts | null = null;
  #membership: Membership | null = null;
  #running: Running | null = null;

  constructor(given: AgentParts) {
    const { config, log } = given;
    this.#given = given;
    this.#configuration = inForce(config.paths.config, config);
    this.#kept = keptOf(config);
    this.#entering = enteringOf({ core: this, kept: this.#kept, log: log.for('agent') });
  }

  get member(): Member | null {
    return this.#running?.member ?? null;
  }

  get members(): Members | null {
    return this.#running?.members ?? null;
  }

  get services(): ServiceRunner | null {
    return this.#parts?.services ?? null;
  }

  get parts(): Parts | null {
    return this.#parts;
  }

  get nodeConfig(): NodeConfig | null {
    return this.#parts?.config ?? null;
  }

  configuration() {
    const report = this.#configuration.report();
    return this.#running?.settings.report(report) ?? report;
  }

  /** What takes new certificates up without a restart. */
  certificateUsers(made: Parts): CertificateUsers {
    return {
      agent: this.#given.relisten,
      consul: () => made.consul.reload(),
      postgres: () =>
        certifyPostgres(made.pg, made.security, replicationNames(this.member?.admitted() ?? {})),
    };
  }

  /** Does the main loop go round? Otherwise systemd's watchdog is to end this process. */
  healthy(): boolean {
    return this.member === null || goesRound(this.member);
  }

  nodeName(): string | null {
    return this.#parts?.config.node_name ?? this.#given.config.node_name ?? null;
  }

  secret(): string | null {
    return this.#membership?.secret ?? null;
  }

  prefix(): string {
    return `${this.#given.config.consul.prefix}/`;
  }

  async position(ms: number): Promise<Position | null> {
    return this.#parts === null ? null : await this.#parts.pg.position(ms);
  }

  logs(query: {
    since?: string | undefined;
    component?: string | undefined;
    limit?: number | undefined;
  }): LogLine[] {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    return this.#given.log.ring.read(Object.fromEntries(given));
  }

  onLog(callback: (line: LogLine) => void): () => void {
    return this.#given.log.ring.follow(callback);
  }

  /** Take up an earlier membership, if there is one, or clear away what an interrupted join left. */
  async resume(): Promise<boolean> {
    const { log } = this.#given;
    const found = this.#entering.found();
    if (found.kind === 'interrupted')
      await this.#entering.clear(await this.#partsFor(this.#named(found.mark)));
    if (found.kind === 'removed')
      log.for('agent').error('this node was removed from its cluster: its data is kept, nothing runs');
    if (found.kind !== 'member') return false;
    const { membership: known } = found;
    const node = this.#named({
      nodeName: known.nodeName,
      hostIp: known.hostIp,
      ...(known.publicIp === null ? {} : { publicIp: known.publicIp }),
      options: known.options,
    });
    const renewed = await renewExpired(node, Date.now());
    const made = await this.#partsFor(node);
    await this.#entering.resume(made, known);
    if (renewed) await made.consul.reload().catch((thrown: unknown) => log.for('agent').warn(thrown));
    return true;
  }

  async start(options: StartOptions): Promise<Operation> {
    this.#refuse(options);
    const made = await this.#partsFor(this.#named(options));
    return this.tracker.begin('start', (steps) => this.#entering.start(made, options, steps));
  }

  async join(options: JoinOptions): Promise<Operation> {
    this.#refuse(options);
    const made = await this.#partsFor(this.#named(options));
    await this.#entering.refuseUnlessEmpty(made);
    return this.tracker.begin('join', (steps) => this.#entering.join(made, options, steps));
  }

  async close(): Promise<void> {
    await this.end();
    await this.#parts?.close();
    await this.#given.driver.close();
  }

  /** What stands in the way of a start or a join, before anything is touched. */
  #refuse(options: StartOptions): void {
    if (this.member !== null)
      throw new AgentError({
        class: 'operator',
        code: 'already_in_cluster',
        message: 'this manager is in a cluster already',
        hint: "see 'agent cluster status'",
      });
    const { input, config } = this.#given;
    this.#configuration.refuse();
    refuseOptions(input, config, options);
    refuseSharedUser(config);
    this.#entering.refuseUnfinished();
  }

  #named(options: StartOptions): NodeConfig {
    return namedConfig(this.#given.input, this.#given.config, options);
  }

  async #partsFor(node: NodeConfig): Promise<Parts> {
    if (this.#parts !== null && JSON.stringify(this.#parts.config) === JSON.stringify(node))
      return this.#parts;
    await this.#parts?.close();
    this.#parts = createParts(node, this.#given.driver, this.#given.log);
    return this.#parts;
  }

  /** Changes what is on disk of the membership; nothing in no cluster. */
  #note(change: Partial<Membership>): void {
    if (this.#membership === null) return;
    this.#membership = { ...this.#membership, ...change };
    this.#kept.memberships.save(this.#membership);
  }

  async run(parts: Parts, joined: Membership, clone?: string): Promise<void> {
    const { driver, log, listen } = this.#given;
    const store = durableStore(parts.config);
    store.save({
      ...store.load(),
      ...(clone === undefined ? {} : { clone }),
      clusterId: joined.clusterId,
      incarnation: joined.incarnation,
    });
    this.#kept.memberships.save(joined);
    this.#membership = joined;
    // Its end is not waited for: a large index takes a while, and what it lacks is a fact.
    void parts.files.start().catch((thrown: unknown) => log.for('handler-runner').error('files:', thrown));
    this.#running = runCore({
      parts,
      membership: joined,
      driver,
      log,
      remember: (hosts) => {
        if (this.#membership?.consulServers.join() === hosts.join()) return;
        this.#note({ consulServers: [...hosts] });
      },
      whenRemoved: () => this.#note({ removed: true }),
    });
    await listen(parts.config);
  }

  entered(): void {
    this.#note({ entered: true });
  }

  async end(): Promise<void> {
    await this.#running?.close();
    this.#running = null;
    this.#membership = null;
  }
}
