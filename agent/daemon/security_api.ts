/** Tokens, certificates and who is a member, for the agent's HTTP side. */

import { randomBytes } from 'node:crypto';
import type { AgentApi } from '../api/types.ts';
import { AgentError, notInCluster } from '../errors.ts';
import { fingerprintOf } from '../platform/tls/read.ts';
import { beginAuthority } from '../security/authority_drive.ts';
import { everybodyKnows } from '../security/names.ts';
import { applyRenewal, expiries, renewCertificates } from '../security/renew.ts';
import type { Security } from '../security/store.ts';
import { joinTokens } from '../security/tokens.ts';
import { isEnrolled } from '../security/who.ts';
import { version } from '../version.ts';
import type { Agent } from './agent.ts';
import { authorityStatus } from './authority_status.ts';

type SecurityApi = Pick<
  AgentApi,
  | 'createToken'
  | 'tokens'
  | 'revokeToken'
  | 'certificates'
  | 'renewCertificates'
  | 'authorityStatus'
  | 'renewAuthority'
  | 'caCertificate'
  | 'isMember'
>;

const refuse = (code: string, message: string, hint: string) =>
  new AgentError({ class: 'operator', code, message, hint });

export function securityApi(agent: Agent): SecurityApi {
  const security = (): Security | undefined => agent.parts?.security.current();

  /** The node's security; throws what is missing. */
  function secured(): Security {
    if (agent.member === null) throw notInCluster();
    const found = security();
    if (found !== undefined) return found;
    throw refuse(
      'no_tls',
      'this cluster runs without TLS, and lets managers in without a token',
      "that is meant for clusters on one machine; elsewhere leave 'api.tls' on",
    );
  }

  function tokens() {
    secured();
    if (agent.member === null) throw new TypeError('a member has its cluster');
    const { memberKv: kv, signed: records } = agent.member;
    return joinTokens({ kv, prefix: agent.prefix(), now: () => Date.now(), records });
  }

  function driving() {
    const found = secured();
    const { member } = agent;
    if (member === null) throw new TypeError('a cluster has a Consul client');
    const parts = { kv: member.memberKv, prefix: agent.prefix(), gate: member.signed };
    return { parts, found, member };
  }

  return {
    createToken: async (ttlMs, by) => tokens().create(ttlMs, by, fingerprintOf(secured().caPem)),
    tokens: async () => tokens().list(),
    async revokeToken(id) {
      if (await tokens().revoke(id)) return;
      throw refuse('not_found', `there is no token ${id}`, "see 'agent cluster token list'");
    },
    certificates: () =>
      agent.parts === null || security() === undefined
        ? []
        : expiries(agent.parts.config).map(({ what, notAfter }) => ({
            what,
            notAfter: new Date(notAfter).toISOString(),
          })),
    async renewCertificates() {
      secured();
      const { parts } = agent;
      if (parts === null) throw new TypeError('a member has its parts');
      await renewCertificates(parts.config, { ownNames: everybodyKnows(agent.member?.node.view) });
      const renewed = parts.security.reload();
      if (renewed === undefined) throw new TypeError('what was written can be read');
      return applyRenewal(renewed, agent.certificateUsers(parts));
    },
    async authorityStatus() {
      if (agent.member === null || security() === undefined) return null;
      const { parts, found, member } = driving();
      return authorityStatus(parts, found, member);
    },
    async renewAuthority(hold, by) {
      const { parts, found, member } = driving();
      const id = randomBytes(4).toString('hex');
      const who = `${by === 'socket' ? 'a local user' : by} on ${member.node.name}`;
      await beginAuthority(parts, { security: found, hold, by: who, id, version });
      return authorityStatus(parts, found, member);
    },
    caCertificate: () => security()?.ca.certificate ?? null,
    isMember: (node, proof) => isEnrolled(agent.member?.node.view, node, proof),
  };
}
