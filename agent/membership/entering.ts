/** How an agent enters a cluster: by founding it, by joining it, or again after its own restart. */

import type { JoinOptions, StartOptions } from '../api/types.ts';
import { localConsulUrl } from '../config/index.ts';
import { createConsulClient } from '../consul/client.ts';
import { AgentError } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import {
  forgetSecurity,
  joinSecurity,
  managementAccess,
  memberCalls,
  takeEnrolment,
} from '../node/access.ts';
import { catchUpGossip } from '../node/gossip.ts';
import type { Cluster } from '../node/member.ts';
import type { Parts } from '../node/parts.ts';
import { device } from '../node/self_description.ts';
import { createPeerCalls } from '../peers/joining_calls.ts';
import { durableStore, type joiningStore, type Membership, type membershipStore } from '../state/identity.ts';
import { admitRequestOf, enrolSurely, joinCluster } from './join.ts';
import { refuseUnlessEmpty } from './not_empty.ts';
import { refuseSettings } from './settings.ts';
import { startCluster } from './start.ts';
import type { Steps } from './tracker.ts';

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

/** For Consul to find its leader and to leave it, ms each. */
const LEAVE = 15_000;

export type Entering = ReturnType<typeof enteringOf>;

export function enteringOf({ memberships, joining, log, become, leave, cluster, entered }: EnteringParts) {
  /** Takes away everything a join made here. The manager was empty before it: nothing of its own is lost. */
  async function clear(parts: Parts): Promise<void> {
    const { config, pg, consul, files, machine } = parts;
    // First: an agent that finds no membership and the mark of the join begins here again.
    memberships.forget();
    const mark = joining.load();
    if (mark !== undefined && !mark.wiped) {
      const { systemId } = await pg.inspect();
      if (systemId !== null && systemId !== mark.systemId) {
        log.error('the database here is not the one that the join copied: it is left alone');
      } else {
        const wiped = await pg.wipe();
        if (wiped.kind !== 'done')
          throw new AgentError({ class: 'transient', code: 'database_not_wiped', message: wiped.why });
      }
      joining.save({ ...mark, wiped: true });
    }
    if (!(await consul.leave(LEAVE)))
      log.warn('Consul did not confirm that it left: the others count this server until it joins again');
    await consul.wipe();
    await files.wipe();
    durableStore(config).forget();
    forgetSecurity(parts);
    await machine.give();
    joining.forget();
  }

  return {
    async refuseUnlessEmpty(parts: Parts): Promise<void> {
      await refuseUnlessEmpty(parts);
      await refuseSettings(parts.pg);
    },

    /** A join whose undoing did not get to its end: nothing new is begun over it. */
    refuseUnfinished(): void {
      if (joining.load() === undefined) return;
      throw new AgentError({
        class: 'operator',
        code: 'join_not_undone',
        message: 'an earlier join was not undone to its end',
        hint: "'systemctl restart cloudify-agent' goes on with that; 'agent logs' says what stands in the way",
      });
    },

    async clear(parts: Parts): Promise<void> {
      log.warn('an earlier join was interrupted: what it made here is taken away');
      await clear(parts);
    },

    async resume(parts: Parts, membership: Membership): Promise<void> {
      const { config, consul } = parts;
      // Before anything else: a lease that this node holds is renewed by this, and nothing below is needed for that.
      await become(parts, membership);
      if (config.consul.mode !== 'external') {
        if (consul.hasData()) {
          // Every node's firewall begins with no peers: when all were off, nobody would ever hear of the others.
          await parts
            .reach(membership.consulServers)
            .catch((thrown: unknown) => log.error('the members are not let in yet:', thrown));
          await catchUpGossip(parts, membership);
          await consul.start({ bootstrap: false, join: membership.consulServers });
        } else {
          // PROTOCOL F: its blank vote could elect a server without the committed lease. The others' servers are asked.
          log.error(`the data of Consul is gone: not started. Remove ${config.node_name} and join it again`);
        }
      }
      if (membership.entered) return;
      const calls = createPeerCalls(config.api.port, memberCalls(parts));
      const others = membership.consulServers.filter((host) => host !== config.host_ip);
      // Until it is known: it votes in Raft already, and is no node before its record is there.
      void (async () => {
        for (;;) {
          try {
            const enrolled = await enrolSurely(others, (address) =>
              calls.enrol(address, membership.secret, config.node_name),
            );
            takeEnrolment(parts, enrolled);
            return entered();
          } catch (thrown) {
            log.error('the cluster did not enter this node:', thrown);
            if (!(thrown instanceof AgentError) || thrown.class !== 'transient' || cluster() === null) return;
          }
        }
      })();
    },

    start(parts: Parts, { options = {} }: StartOptions, steps: Steps): Promise<void> {
      const { config } = parts;
      const client = createConsulClient({
        servers: [localConsulUrl(config)],
        ...managementAccess(parts),
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
              open: made?.node.fence.state === 'open' && made.node.view?.active?.value.node === node_name,
              reason: made?.last()?.decision.reason ?? 'starting',
              failingFor:
                made === null || made.node.failures.last === null
                  ? 0
                  : made.node.now() - made.node.failures.last.since,
            };
          },
        },
        steps,
      );
    },

    async join(parts: Parts, { options = {}, addresses, token }: JoinOptions, steps: Steps): Promise<void> {
      const { config, files } = parts;
      const security = await joinSecurity(parts, token);
      const calls = createPeerCalls(config.api.port, security.calls);
      return joinCluster(
        {
          parts,
          addresses,
          request: { ...admitRequestOf(config), ...(await device(files)), ...security.request },
          admit: calls.admit,
          enrol: (address, secret) => calls.enrol(address, secret, config.node_name),
          keep: (address, secret) => calls.keep(address, secret, config.node_name),
          begin: (systemId) =>
            joining.save({ nodeName: config.node_name, hostIp: config.host_ip, systemId, wiped: false }),
          accept: security.accept,
          become: (membership, clone) => become(parts, { ...membership, options, entered: false }, clone),
          entered(enrolled) {
            takeEnrolment(parts, enrolled);
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
              streaming: made?.node.db.facts?.streaming ?? false,
              reason: made?.last()?.decision.reason ?? 'starting',
              failingFor:
                made === null || made.node.failures.last === null
                  ? 0
                  : made.node.now() - made.node.failures.last.since,
            };
          },
        },
        steps,
      );
    },
  };
}
