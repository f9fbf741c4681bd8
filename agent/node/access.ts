/**
 * The security of a join, or of a start: how the cluster is spoken to, what is asked for, and what is written
 * down.
 */

import type { Admission, AdmitRequest, Enrolled } from '../api/types.ts';
import { AgentError } from '../errors.ts';
import type { CallTls } from '../peers/joining_calls.ts';
import type { PeerSelf } from '../peers/peers.ts';
import { acceptAdmission, acceptEnrolment, prepareJoin } from '../security/admission.ts';
import { demandFromNow, signedStore } from '../security/signed_memory.ts';
import { securityStore } from '../security/store.ts';
import type { Parts } from './parts.ts';

type Own = Pick<Parts, 'config' | 'security'>;

/** What this node shows its peers; undefined in a plain cluster and before it has certificates. */
export function peerSelf({ config, security }: Own): PeerSelf | undefined {
  const own = security.current();
  return own === undefined
    ? undefined
    : { node: config.node_name, token: own.secrets.peerToken, tls: own.tls };
}

/** For calls of a node that has its certificates. */
export const memberCalls = (own: Own): CallTls | undefined =>
  own.config.api.tls ? { fingerprint: '', self: () => peerSelf(own) } : undefined;

/** For the Consul client of a node: asked at each call, because start and join make what it shows. */
export const consulAccess = ({ config, security }: Own) => ({
  tls: () => security.current()?.tls,
  // Without TLS between servers there are no tokens, and none is shown to whoever listens there.
  token: () => (config.consul.tls ? security.current()?.secrets.consulToken : undefined),
});

/** The same with the management token; the node's own until it is enrolled. */
export const managementAccess = ({ config, security }: Own) => ({
  tls: () => security.current()?.tls,
  token: () => {
    const secrets = config.consul.tls ? security.current()?.secrets : undefined;
    return secrets?.managementToken || secrets?.consulToken;
  },
});

export interface JoinSecurity {
  readonly calls: CallTls | undefined;
  readonly request: Pick<AdmitRequest, 'security'>;
  /**
   * Writes what the active answered. Throws operator `admission_wrong`, and `plain_cluster` when it uses no
   * TLS.
   */
  accept(admission: Admission): void;
}

/** One per join, kept while it goes on: asked again, it asks with the same keys. Throws as `prepareJoin`. */
export async function joinSecurity(own: Own, token: string | undefined): Promise<JoinSecurity> {
  if (!own.config.api.tls) return { calls: undefined, request: {}, accept: () => {} };
  const join = await prepareJoin(own.config, token);
  return {
    calls: { fingerprint: join.fingerprint, self: () => peerSelf(own) },
    request: { security: join.request },
    accept({ security, clusterId }) {
      if (security === undefined)
        throw new AgentError({
          class: 'operator',
          code: 'plain_cluster',
          message: 'the cluster sent no certificates',
          hint: "is 'api.tls' the same on all managers?",
        });
      acceptAdmission(own.config, join, security);
      if (security.signed === true) demandFromNow(signedStore(own.config), clusterId);
      own.security.reload();
    },
  };
}

/**
 * What came with the enrolment; nothing in a plain cluster. Idempotent. Throws operator `admission_wrong`.
 */
export function takeEnrolment({ config, security }: Own, enrolled: Enrolled): void {
  if (enrolled.security === undefined || !config.api.tls) return;
  acceptEnrolment(config, enrolled.security);
  security.reload();
}

/** For a join that is undone. */
export function forgetSecurity({ config, security }: Own): void {
  if (!config.api.tls) return;
  securityStore(config).forget();
  security.reload();
}
