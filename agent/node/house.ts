/**
 * What a member does beside the decisions (housekeeping.ts), with the real parts, and the Consul clients it
 * does it by.
 */
import { type ConsulClient, createConsulClient } from '../consul/client.ts';
import type { NodeContext } from '../core/node.ts';
import { systemClock } from '../platform/clock.ts';
import type { SignedRecords } from '../security/signed_records.ts';
import { consulAccess, managementAccess } from './access.ts';
import type { RealPorts } from './drive.ts';
import { followSecrets, narrowOwnToken } from './follow_secrets.ts';
import { housekeeping, serverUrls } from './housekeeping.ts';
import { ownRecord } from './own_record.ts';
import type { MemberParts } from './parts.ts';
import { stopOnceOut } from './removed.ts';
import { signingOf } from './sign_members.ts';

export type Clients = {
  readonly consul: ConsulClient;
  /** For the standing query alone: it holds its connection. */
  readonly watching: ConsulClient;
  /** With the management token. */
  readonly managing: ConsulClient;
};

export function clientsOf({ config, membership, parts }: MemberParts): Clients {
  const options = {
    servers: serverUrls(config, membership),
    deadlineMs: 1000,
    attemptMs: 500,
    ...consulAccess(parts),
  };
  return {
    consul: createConsulClient(options),
    watching: createConsulClient(options),
    managing: createConsulClient({ ...options, ...managementAccess(parts) }),
  };
}

export type Housekeeping = ReturnType<typeof housekeeping>;

export function houseOf(
  { config, membership, log, parts, remember, whenRemoved }: MemberParts,
  {
    node,
    clients,
    signed,
    ports,
    signal,
  }: {
    node: NodeContext;
    clients: Clients;
    signed: SignedRecords;
    ports: RealPorts;
    signal: AbortSignal;
  },
): Housekeeping {
  const { consul, watching, managing } = clients;
  const narrow = narrowOwnToken(parts);
  const sign = signingOf(parts, { signed, memberKv: managing.kv, node, ports });
  const out = stopOnceOut(parts, consul.catalog, systemClock.now);
  return housekeeping({
    config,
    membership,
    node,
    pg: parts.pg,
    clients: [consul, watching, managing],
    doors: parts.doors,
    ...(remember === undefined ? {} : { remember }),
    // Its server would hear the new gossip key and stay a member of Consul; the data is kept.
    ...(config.consul.tls && config.consul.mode !== 'external'
      ? {
          whenRemoved: async () => {
            await out();
            whenRemoved?.();
          },
        }
      : {}),
    keepRecord: ownRecord({
      parts,
      kv: managing.kv,
      records: signed,
      view: () => node.view,
      name: node.name,
      say: (line) => log.for('handler-runner').info(line),
    }),
    chore: async () => {
      await followSecrets(parts, consul.kv, node);
      await narrow();
      await sign();
    },
    log: log.for('handler-runner'),
    signal,
  });
}
