/** What is kept true beside the decisions: replication slots for all members, and which Consul servers are asked. */
import { consulUrls, type NodeConfig } from './config.ts';
import type { ConsulClient } from './consul/client.ts';
import type { NodeContext } from './core/node.ts';
import type { Membership } from './identity.ts';
import { sleep } from './platform/clock.ts';
import type { Postgres } from './roles/postgres/port.ts';

const EVERY = 10_000;
/** Until the server is up. */
const SOON = 500;

export type HousekeepingParts = {
  config: NodeConfig;
  membership: Membership;
  node: NodeContext;
  pg: Postgres;
  clients: readonly ConsulClient[];
  signal: AbortSignal;
};

/** Runs until aborted. Slots for all members exist on every node and advance on standbys (PROTOCOL E.3). */
export async function housekeeping({
  config,
  membership,
  node,
  pg,
  clients,
  signal,
}: HousekeepingParts): Promise<void> {
  let known = '';
  while (!signal.aborted) {
    const nodes = node.view?.nodes ?? {};
    const members = Object.values(nodes).map(
      (record) => `http://${record.hostIp}:${config.consul.http_port}`,
    );
    const urls = [...new Set([...serverUrls(config, membership), ...members])];
    if (urls.join() !== known) {
      known = urls.join();
      for (const client of clients) client.transport.setServers(urls);
    }
    const others = Object.keys(nodes).filter((name) => name !== node.name);
    if (node.pg?.accepting && others.length > 0) {
      // The active alone holds slots for managers that are still joining; a removed node's slot would keep WAL for ever.
      const standby = node.pg.role === 'standby';
      await pg.ensureSlots(others, 2000, standby).catch(() => {});
      if (standby) await pg.advanceSlots(2000).catch(() => {});
    }
    await sleep(node.pg?.accepting ? EVERY : SOON, signal);
  }
}

/** The local server first, then those known from the start or join. */
export function serverUrls(config: NodeConfig, membership: Membership): string[] {
  const others = membership.consulServers
    .filter((host) => host !== membership.hostIp)
    .map((host) => `http://${host}:${config.consul.http_port}`);
  return [...new Set([...consulUrls(config), ...others])];
}
