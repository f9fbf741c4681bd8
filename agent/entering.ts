/** How an agent enters a cluster: by founding it, by joining it, or again after its own restart. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { createConsulClient } from './consul/client.ts';
import { createPeerCalls } from './http/peer_calls.ts';
import type { JoinOptions, StartOptions } from './http/port.ts';
import { durableStore, type joiningStore, type Membership, type membershipStore } from './identity.ts';
import type { Logger } from './log.ts';
import { admitRequestOf, enrolSurely, joinCluster, refuseUnlessEmpty } from './operations/join.ts';
import { startCluster } from './operations/start.ts';
import type { Steps } from './operations/tracker.ts';
import type { Parts } from './parts.ts';

export type EnteringParts = {
  memberships: ReturnType<typeof membershipStore>;
  joining: ReturnType<typeof joiningStore>;
  log: Logger;
  become(parts: Parts, membership: Membership, clone?: string): Promise<void>;
  leave(): Promise<void>;
  cluster(): Cluster | null;
  /** The active has entered this node. */
  entered(): void;
};

export type Entering = ReturnType<typeof enteringOf>;

export function enteringOf({ memberships, joining, log, become, leave, cluster, entered }: EnteringParts) {
  /** Takes away everything a join made here. The manager was empty before it: nothing of its own is lost. */
  async function clear({ config, pg, consul, machine }: Parts): Promise<void> {
    await pg.stop('immediate', 5000, false);
    await consul.wipe();
    memberships.forget();
    durableStore(config).forget();
    rmSync(config.postgres.data_dir, { recursive: true, force: true });
    rmSync(join(config.paths.state_dir, 'postgres'), { recursive: true, force: true });
    await machine.give();
    joining.forget();
  }

  return {
    refuseUnlessEmpty: async ({ config }: Parts): Promise<void> => refuseUnlessEmpty(config),

    async clear(parts: Parts): Promise<void> {
      log.warn('an earlier join was interrupted: what it made here is taken away');
      await clear(parts);
    },

    async resume(parts: Parts, membership: Membership): Promise<void> {
      const { config, consul } = parts;
      if (config.consul.mode !== 'external') {
        if (consul.hasData()) {
          await consul.start({ bootstrap: false, join: membership.consulServers });
        } else {
          // PROTOCOL F: its blank vote could elect a server without the committed lease. The others' servers are asked.
          log.error(`the data of Consul is gone: not started. Remove ${config.node_name} and join it again`);
        }
      }
      await become(parts, membership);
      if (membership.entered) return;
      const calls = createPeerCalls(config.api.port);
      const others = membership.consulServers.filter((host) => host !== config.host_ip);
      void enrolSurely(others, (address) => calls.enrol(address, membership.secret, config.node_name))
        .then(entered)
        .catch((thrown: unknown) => log.error('the cluster did not enter this node:', thrown));
    },

    start(parts: Parts, { options = {} }: StartOptions, steps: Steps): Promise<void> {
      const { config } = parts;
      const client = createConsulClient({
        servers: [`http://${config.consul.http_address}:${config.consul.http_port}`],
      });
      const { node_name } = config;
      return startCluster(
        {
          parts,
          kv: client.kv,
          become: (membership) => become(parts, { ...membership, options }),
          opened() {
            const made = cluster();
            return {
              open: made?.node.fence === 'open' && made.node.view?.active?.value.node === node_name,
              reason: made?.last()?.decision.reason ?? 'starting',
            };
          },
        },
        steps,
      );
    },

    join(parts: Parts, { options = {}, addresses }: JoinOptions, steps: Steps): Promise<void> {
      const { config } = parts;
      const calls = createPeerCalls(config.api.port);
      return joinCluster(
        {
          parts,
          addresses,
          request: admitRequestOf(config),
          admit: calls.admit,
          enrol: (address, secret) => calls.enrol(address, secret, config.node_name),
          begin: () => joining.save({ nodeName: config.node_name, hostIp: config.host_ip }),
          become: (membership, clone) => become(parts, { ...membership, options, entered: false }, clone),
          entered() {
            entered();
            joining.forget();
          },
          async undo() {
            await leave();
            await clear(parts);
          },
          following() {
            const made = cluster();
            return {
              streaming: made?.node.pg?.streaming ?? false,
              reason: made?.last()?.decision.reason ?? 'starting',
            };
          },
        },
        steps,
      );
    },
  };
}
