/**
 * What follows the list of members beside the decisions, on every node: whom the firewall, PostgreSQL and
 * Syncthing let in, replication slots for all, and which Consul servers are asked.
 */

import type { NodeConfig } from '../config/index.ts';
import { consulUrls, memberConsulUrl } from '../config/index.ts';
import type { ConsulClient } from '../consul/client.ts';
import type { NodeContext } from '../core/node.ts';
import { slotsDropped } from '../core/procedures/slots.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { systemTime, type Time } from '../platform/clock.ts';
import { createSerial } from '../platform/serial.ts';
import type { Postgres } from '../roles/postgres/port.ts';
import { type AdmittedNode, withState } from '../security/names.ts';
import type { Membership } from '../state/identity.ts';

const EVERY = 10_000;
/** Until the server is up, and to see that the list of members is another. */
const SOON = 500;

/** Nodes and managers that are joining, by name. */
export type Admitted = Record<string, AdmittedNode>;

export type HousekeepingParts = {
  config: NodeConfig;
  membership: Membership;
  node: NodeContext;
  pg: Postgres;
  clients: readonly ConsulClient[];
  /** Each is told the list when it has changed, and again until it succeeded. */
  doors: readonly { name: string; letIn(admitted: Admitted): Promise<void> }[];
  /**
   * The addresses of all members have changed: kept for the next start, when those of the join may all be
   * gone.
   */
  remember?: (hosts: readonly string[]) => void;
  /** Done once this node has seen its own tombstone, and again until it succeeded. */
  whenRemoved?: () => Promise<void>;
  /** Makes this node's own record say what is so. Asked every ten seconds from when it is seen on. */
  keepRecord?: () => Promise<boolean>;
  /** Done every ten seconds; whatever it throws is left to the next time. */
  chore?: () => Promise<unknown>;
  log: Logger;
  signal: AbortSignal;
  /** Virtual in a test. */
  time?: Time;
};

export const housekeeping = (o: HousekeepingParts) => new Housekeeping(o);

class Housekeeping {
  readonly #given: HousekeepingParts;
  readonly #time: Time;
  readonly #told = new Map<string, string>();
  readonly #inTurn = createSerial();
  #unkept = '';

  constructor(o: HousekeepingParts) {
    this.#given = o;
    this.#time = o.time ?? systemTime;
  }

  /** Without those of whom nothing but the name can be read: they have no address to let in. */
  admitted(): Admitted {
    return Object.fromEntries(Object.entries(this.#all()).filter(([, record]) => record.hostIp !== ''));
  }

  /** Tell every part the list of members now. Resolves with what failed. */
  async letIn(): Promise<string[]> {
    const failures = await this.#openDoors();
    await this.#slots();
    return failures;
  }

  /** Runs until aborted. */
  async run(): Promise<void> {
    let last = '';
    let slotsAt = Number.NEGATIVE_INFINITY;
    let choreAt = this.#time.now();
    let recordAt = Number.NEGATIVE_INFINITY;
    let removed = false;
    while (!this.#given.signal.aborted) {
      this.#servers();
      const failures = (await this.#openDoors()).join('; ');
      if (failures !== '' && failures !== last)
        this.#given.log.warn(`members are not let in everywhere: ${failures}`);
      last = failures;
      if (this.#time.now() - slotsAt > (this.#given.node.db.facts?.accepting ? EVERY : SOON)) {
        await this.#slots();
        slotsAt = this.#time.now();
      }
      if (!removed && this.#given.node.view?.removed.includes(this.#given.node.name))
        removed =
          (await this.#given.whenRemoved?.().then(
            () => true,
            () => false,
          )) ?? true;
      if (
        this.#time.now() - recordAt > EVERY &&
        this.#given.node.view?.nodes[this.#given.node.name] !== undefined
      ) {
        // Beside the rest: it asks programs for their versions, and members are let in meanwhile.
        recordAt = Number.POSITIVE_INFINITY;
        void (this.#given.keepRecord?.() ?? Promise.resolve())
          .catch((thrown: unknown) => this.#given.log.debug("this node's own record:", thrown))
          .finally(() => {
            recordAt = this.#time.now();
          });
      }
      if (this.#time.now() - choreAt > EVERY) {
        await this.#settings();
        await this.#role();
        await this.#given.chore?.().catch(() => {});
        choreAt = this.#time.now();
      }
      await this.#time.sleep(SOON, this.#given.signal);
    }
  }

  #all(): Admitted {
    return {
      ...Object.fromEntries(
        Object.entries(this.#given.node.view?.joining ?? {}).flatMap(([name, held]) =>
          // Being removed: shut out already, its key is there until everything else is done.
          held.lifeMs === 0 ? [] : [[name, held.node]],
        ),
      ),
      ...Object.fromEntries(
        Object.entries(this.#given.node.view?.nodes ?? {}).map(([name, r]) => [
          name,
          withState(r, this.#given.node.view?.states[name]),
        ]),
      ),
    };
  }

  /** One after the other: whoever was told an older list last would keep it. */
  #openDoors(): Promise<string[]> {
    return this.#inTurn(() => this.#tellDoors());
  }

  async #tellDoors(): Promise<string[]> {
    const list = this.admitted();
    // An empty list is a view that is not there yet.
    if (Object.keys(list).length === 0) return [];
    const wanted = JSON.stringify(list);
    const failures: string[] = [];
    for (const door of this.#given.doors) {
      if (this.#told.get(door.name) === wanted) continue;
      try {
        await door.letIn(list);
        this.#told.set(door.name, wanted);
      } catch (thrown) {
        failures.push(`${door.name}: ${messageOf(thrown)}`);
      }
    }
    return failures;
  }

  #servers(): void {
    const hosts = Object.values(this.admitted()).map((record) => record.hostIp);
    const urls = serverUrls(this.#given.config, this.#given.membership, hosts);
    const wanted = urls.join();
    if (this.#told.get('consul urls') === wanted) return;
    for (const client of this.#given.clients) client.transport.setServers(urls);
    const members = Object.values(this.#given.node.view?.nodes ?? {}).map((record) => record.hostIp);
    try {
      if (members.includes(this.#given.membership.hostIp)) this.#given.remember?.(members.sort());
      this.#told.set('consul urls', wanted);
      this.#unkept = '';
    } catch (thrown) {
      // A full disk, for example: tried again, and everything else goes on.
      if (messageOf(thrown) !== this.#unkept)
        this.#given.log.warn('the addresses of the members could not be saved:', thrown);
      this.#unkept = messageOf(thrown);
    }
  }

  async #slots(): Promise<void> {
    const others = Object.keys(this.#all()).filter((name) => name !== this.#given.node.name);
    if (!this.#given.node.db.facts?.accepting || others.length === 0) return;
    // The active alone holds slots for managers that are still joining; a removed node's slot would keep WAL
    // for ever.
    const standby = this.#given.node.db.facts.role === 'standby';
    await this.#given.pg.ensureSlots(others, 2000, standby).catch(() => {});
    if (!standby) return;
    slotsDropped(this.#given.node, others);
    await this.#given.pg.advanceSlots(2000).catch(() => {});
  }

  /**
   * A cluster of before, or somebody's hand, may have left the role more than it needs. The standbys follow.
   */
  async #role(): Promise<void> {
    if (
      this.#given.node.fence.state !== 'open' ||
      this.#given.node.db.facts?.role !== 'primary' ||
      !this.#given.node.db.facts.accepting
    )
      return;
    await this.#given.pg.ensureReplicationRole(2000).catch(() => {});
  }

  /** Whoever set them shall know where they went: PostgreSQL said to him that they were set. */
  async #settings(): Promise<void> {
    if (!this.#given.node.db.facts?.accepting) return;
    const held = await this.#given.pg.holdSettings(2000).catch(() => ({ kind: 'failed' }) as const);
    if (held.kind !== 'done' || held.taken === undefined || held.taken.length === 0) return;
    this.#given.log.warn(
      `ALTER SYSTEM had set ${held.taken.join(', ')}, the agent's while clustered: taken out again`,
    );
  }
}

/** The local server first, then those known from the start or join and from the list of members. */
export function serverUrls(
  config: NodeConfig,
  membership: Membership,
  members: readonly string[] = [],
): string[] {
  const others = [...membership.consulServers, ...members]
    .filter((host) => host !== membership.hostIp)
    .map((host) => memberConsulUrl(config, host));
  return [...new Set([...consulUrls(config), ...others])];
}
