/**
 * What follows the list of members beside the decisions, on every node: whom the firewall, PostgreSQL and Syncthing let in,
 * replication slots for all, and which Consul servers are asked.
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
  /** The addresses of all members have changed: kept for the next start, when those of the join may all be gone. */
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

export function housekeeping(o: HousekeepingParts) {
  const { config, membership, node, pg, clients, doors, log, signal, time = systemTime } = o;
  const told = new Map<string, string>();
  const inTurn = createSerial();
  let unkept = '';

  const all = (): Admitted => ({
    ...Object.fromEntries(
      Object.entries(node.view?.joining ?? {}).flatMap(([name, held]) =>
        // Being removed: shut out already, its key is there until everything else is done.
        held.lifeMs === 0 ? [] : [[name, held.node]],
      ),
    ),
    ...Object.fromEntries(
      Object.entries(node.view?.nodes ?? {}).map(([name, r]) => [
        name,
        withState(r, node.view?.states[name]),
      ]),
    ),
  });
  /** Without those of whom nothing but the name can be read: they have no address to let in. */
  const admitted = (): Admitted =>
    Object.fromEntries(Object.entries(all()).filter(([, record]) => record.hostIp !== ''));

  /** One after the other: whoever was told an older list last would keep it. */
  const openDoors = (): Promise<string[]> => inTurn(tellDoors);

  async function tellDoors(): Promise<string[]> {
    const list = admitted();
    // An empty list is a view that is not there yet.
    if (Object.keys(list).length === 0) return [];
    const wanted = JSON.stringify(list);
    const failures: string[] = [];
    for (const door of doors) {
      if (told.get(door.name) === wanted) continue;
      try {
        await door.letIn(list);
        told.set(door.name, wanted);
      } catch (thrown) {
        failures.push(`${door.name}: ${messageOf(thrown)}`);
      }
    }
    return failures;
  }

  function servers(): void {
    const hosts = Object.values(admitted()).map((record) => record.hostIp);
    const urls = serverUrls(config, membership, hosts);
    const wanted = urls.join();
    if (told.get('consul urls') === wanted) return;
    for (const client of clients) client.transport.setServers(urls);
    const members = Object.values(node.view?.nodes ?? {}).map((record) => record.hostIp);
    try {
      if (members.includes(membership.hostIp)) o.remember?.(members.sort());
      told.set('consul urls', wanted);
      unkept = '';
    } catch (thrown) {
      // A full disk, for example: tried again, and everything else goes on.
      if (messageOf(thrown) !== unkept) log.warn('the addresses of the members could not be saved:', thrown);
      unkept = messageOf(thrown);
    }
  }

  async function slots(): Promise<void> {
    const others = Object.keys(all()).filter((name) => name !== node.name);
    if (!node.db.facts?.accepting || others.length === 0) return;
    // The active alone holds slots for managers that are still joining; a removed node's slot would keep WAL for ever.
    const standby = node.db.facts.role === 'standby';
    await pg.ensureSlots(others, 2000, standby).catch(() => {});
    if (!standby) return;
    slotsDropped(node, others);
    await pg.advanceSlots(2000).catch(() => {});
  }

  /** A cluster of before, or somebody's hand, may have left the role more than it needs. The standbys follow. */
  async function role(): Promise<void> {
    if (node.fence.state !== 'open' || node.db.facts?.role !== 'primary' || !node.db.facts.accepting) return;
    await pg.ensureReplicationRole(2000).catch(() => {});
  }

  /** Whoever set them shall know where they went: PostgreSQL said to him that they were set. */
  async function settings(): Promise<void> {
    if (!node.db.facts?.accepting) return;
    const held = await pg.holdSettings(2000).catch(() => ({ kind: 'failed' }) as const);
    if (held.kind !== 'done' || held.taken === undefined || held.taken.length === 0) return;
    log.warn(`ALTER SYSTEM had set ${held.taken.join(', ')}, the agent's while clustered: taken out again`);
  }

  return {
    admitted,
    /** Tell every part the list of members now. Resolves with what failed. */
    letIn: async (): Promise<string[]> => {
      const failures = await openDoors();
      await slots();
      return failures;
    },
    /** Runs until aborted. */
    async run(): Promise<void> {
      let last = '';
      let slotsAt = Number.NEGATIVE_INFINITY;
      let choreAt = time.now();
      let recordAt = Number.NEGATIVE_INFINITY;
      let removed = false;
      while (!signal.aborted) {
        servers();
        const failures = (await openDoors()).join('; ');
        if (failures !== '' && failures !== last) log.warn(`members are not let in everywhere: ${failures}`);
        last = failures;
        if (time.now() - slotsAt > (node.db.facts?.accepting ? EVERY : SOON)) {
          await slots();
          slotsAt = time.now();
        }
        if (!removed && node.view?.removed.includes(node.name))
          removed =
            (await o.whenRemoved?.().then(
              () => true,
              () => false,
            )) ?? true;
        if (time.now() - recordAt > EVERY && node.view?.nodes[node.name] !== undefined) {
          // Beside the rest: it asks programs for their versions, and members are let in meanwhile.
          recordAt = Number.POSITIVE_INFINITY;
          void (o.keepRecord?.() ?? Promise.resolve())
            .catch((thrown: unknown) => log.debug("this node's own record:", thrown))
            .finally(() => {
              recordAt = time.now();
            });
        }
        if (time.now() - choreAt > EVERY) {
          await settings();
          await role();
          await o.chore?.().catch(() => {});
          choreAt = time.now();
        }
        await time.sleep(SOON, signal);
      }
    },
  };
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
