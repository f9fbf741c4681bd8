/** How an agent enters a cluster: by founding it, by joining it, or again after its own restart. */

import type { JoinOptions, StartOptions } from '../api/types.ts';
import { localConsulUrl } from '../config/index.ts';
import { createConsulClient } from '../consul/client.ts';
import type { ConsulKv } from '../consul/port.ts';
import { AgentError } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { joinSecurity, managementAccess, memberCalls, takeEnrolment } from '../node/access.ts';
import { catchUpGossip } from '../node/gossip.ts';
import type { Parts } from '../node/parts.ts';
import { device } from '../node/self_description.ts';
import { type CallTls, createPeerCalls } from '../peers/joining_calls.ts';
import { systemTime, type Time } from '../platform/clock.ts';
import type { Joining as JoinMark, Membership } from '../state/identity.ts';
import { joinCluster, undoJoin } from './join.ts';
import { admitRequestOf, enrolSurely, type JoinCalls } from './join_calls.ts';
import type { Kept, OwnCore } from './own_core.ts';
import { refuseSettings, refuseUnlessEmpty } from './preflight.ts';
import { startCluster } from './start.ts';
import type { Steps } from './tracker.ts';

/** How this agent reaches others; replaced in a test. */
export type Reaching = {
  time: Time;
  calls(defaultPort: number, tls: CallTls | undefined): JoinCalls;
  /** The local Consul, as a founder writes to it. */
  kv(parts: Parts): ConsulKv;
};

const real: Reaching = {
  time: systemTime,
  calls: createPeerCalls,
  kv: (parts) =>
    createConsulClient({ servers: [localConsulUrl(parts.config)], ...managementAccess(parts) }).kv,
};

/** What an agent that starts finds of the one before. */
export type Found =
  | { kind: 'nothing' }
  /** A join did not get to the end of its work: it is to be cleared away. */
  | { kind: 'interrupted'; mark: JoinMark }
  /** The cluster let this node go: its data is kept, and nothing runs. */
  | { kind: 'removed'; membership: Membership }
  | { kind: 'member'; membership: Membership };

export type Entering = ReturnType<typeof enteringOf>;

export function enteringOf(
  { core, kept, log }: { core: OwnCore; kept: Kept; log: Logger },
  { time, calls: callsOf, kv }: Reaching = real,
) {
  /** Until it is known: it votes in Raft already, and is no node before its record is there. */
  async function enterAtLast(parts: Parts, { consulServers, secret }: Membership): Promise<void> {
    const { config } = parts;
    const calls = callsOf(config.api.port, memberCalls(parts));
    const others = consulServers.filter((host) => host !== config.host_ip);
    for (;;) {
      try {
        const enrolled = await enrolSurely(
          others,
          (address) => calls.enrol(address, secret, config.node_name),
          time,
        );
        takeEnrolment(parts, enrolled);
        return core.entered();
      } catch (thrown) {
        log.error('the cluster did not take this node in:', thrown);
        if (!(thrown instanceof AgentError) || thrown.class !== 'transient' || core.member === null) return;
      }
    }
  }

  return {
    async refuseUnlessEmpty(parts: Parts): Promise<void> {
      await refuseUnlessEmpty(parts);
      await refuseSettings(parts.pg);
    },

    /** A join whose undoing did not get to its end: nothing new is begun over it. */
    refuseUnfinished(): void {
      if (kept.joining.load() === undefined) return;
      throw new AgentError({
        class: 'operator',
        code: 'join_not_undone',
        message: 'an earlier join was only partly undone',
        hint: "'systemctl restart cloudify-agent' continues undoing it; 'agent logs' shows what prevents it",
      });
    },

    found(): Found {
      const membership = kept.memberships.load();
      if (membership === undefined) {
        const mark = kept.joining.load();
        return mark === undefined ? { kind: 'nothing' } : { kind: 'interrupted', mark };
      }
      // From the membership on its data may be a vote's: nothing may ever take it for a join's leftovers.
      kept.joining.forget();
      return { kind: membership.removed ? 'removed' : 'member', membership };
    },

    async clear(parts: Parts): Promise<void> {
      log.warn('an earlier join was interrupted: what it created here is removed');
      await undoJoin({ parts, core, kept, log });
    },

    async resume(parts: Parts, membership: Membership): Promise<void> {
      const { config, consul } = parts;
      // Before anything else: a lease that this node holds is renewed by this, and nothing below is needed
      // for that.
      await core.run(parts, membership);
      if (config.consul.mode !== 'external') {
        if (consul.hasData()) {
          // Every node's firewall begins with no peers: when all were off, nobody would ever hear of the
          // others.
          await parts
            .reach(membership.consulServers)
            .catch((thrown: unknown) => log.error('the members are not let in yet:', thrown));
          await catchUpGossip(parts, membership);
          await consul.start({ bootstrap: false, join: membership.consulServers });
        } else {
          // PROTOCOL F.6: its blank vote could elect a server without the committed lease. The others'
          // servers are asked.
          log.error(
            `the data of Consul is gone: Consul is not started. Remove ${config.node_name} and join it again`,
          );
        }
      }
      if (!membership.entered) void enterAtLast(parts, membership);
    },

    start: (parts: Parts, { options = {} }: StartOptions, steps: Steps): Promise<void> =>
      startCluster({ parts, kv: kv(parts), core, options, time }, steps),

    async join(parts: Parts, { options = {}, addresses, token }: JoinOptions, steps: Steps): Promise<void> {
      const { config, files } = parts;
      const security = await joinSecurity(parts, token);
      const calls = callsOf(config.api.port, security.calls);
      const request = { ...admitRequestOf(config), ...(await device(files)), ...security.request };
      return joinCluster(
        { parts, core, kept, log, calls, security, addresses, request, options, time },
        steps,
      );
    },
  };
}
