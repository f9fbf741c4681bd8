/**
 * The active's side of tokens and certificates when a manager comes in or goes. Nothing of it in a plain
 * cluster.
 */

import type { AdmitRequest, Enrolled } from '../api/types.ts';
import type { ConsulKv } from '../consul/port.ts';
import type { NodeRecord, View } from '../core/records.ts';
import { AgentError } from '../errors.ts';
import { gossipPartsOf, rotateGossip } from '../node/gossip.ts';
import { managementPartsOf, rotateManagement } from '../node/management.ts';
import type { Member } from '../node/member.ts';
import type { Parts } from '../node/parts.ts';
import { until } from '../platform/clock.ts';
import { admitSecurity, type SecurityAdmission, tokenMissing } from '../security/admission.ts';
import { everybodyKnows } from '../security/names.ts';
import { joinTokens } from '../security/tokens.ts';

/** A server that was cut off is noticed by Serf within 8 s, ms. */
const GONE = 30_000;

const transient = (code: string, message: string) =>
  new AgentError({ class: 'transient', code, message, hint: 'run the command again' });

const prefixOf = ({ config }: Parts): string => `${config.consul.prefix}/`;

type Written = Pick<Member, 'memberKv' | 'signed'>;
const tokensOf = (parts: Parts, { memberKv: kv, signed: records }: Written) =>
  joinTokens({ kv, prefix: prefixOf(parts), now: () => Date.now(), records });

export interface Secured {
  /** For the node's record. */
  readonly record: Pick<NodeRecord, 'certificate' | 'proof'>;
  /** Of the join token, ms; none in a plain cluster. */
  readonly lifeMs?: number;
  /** For the answer. */
  readonly answer: { readonly security?: SecurityAdmission };
}

/**
 * The token comes first: who shows none learns nothing of names, addresses, versions and settings. Throws as
 * `JoinTokens.check`.
 */
export async function checkToken(parts: Parts, at: Written, request: AdmitRequest): Promise<void> {
  if (parts.security.current() === undefined) return;
  if (request.security === undefined) throw tokenMissing();
  await tokensOf(parts, at).check(request.security.token);
}

/** Takes the join token, signs, makes the Consul token. Throws as `admitSecurity`. */
export async function admitSecured(
  parts: Parts,
  at: Written,
  request: AdmitRequest,
  view: View | null,
): Promise<Secured> {
  const security = parts.security.current();
  if (security === undefined) return { record: {}, answer: {} };
  const { acl } = parts.consul.admin();
  const made = await admitSecurity(
    {
      security,
      tokens: tokensOf(parts, at),
      datacenter: parts.config.consul.datacenter,
      ownNames: everybodyKnows(view),
      async createNodeToken(node, secret) {
        const done = await acl.createNodeToken(node, parts.config.consul.prefix, secret, { joining: true });
        if (done.kind === 'unknown')
          throw transient('consul_unknown', `no Consul token was created (${done.cause.code})`);
      },
    },
    request,
    request.security,
  );
  const { certificate, proof, lifeMs, admission } = made;
  const demanded = at.signed.demanded() ? { signed: true } : {};
  return { record: { certificate, proof }, lifeMs, answer: { security: { ...admission, ...demanded } } };
}

/**
 * The token that let this node in is spent for good. A failure leaves it to its time: the name is taken by
 * now.
 */
export async function spendToken(parts: Parts, at: Written, node: string): Promise<void> {
  if (parts.security.current() === undefined) return;
  await tokensOf(parts, at)
    .spend(node)
    .catch(() => {});
}

/** For the answer to an enrolment: with these a member lets others in. Nothing in a plain cluster. */
export function memberSecrets(parts: Parts): Enrolled {
  const security = parts.security.current();
  if (security === undefined) return {};
  return { security: { caKey: security.ca.key, managementToken: security.secrets.managementToken } };
}

/**
 * Is the caller the one whose record this is? Always, in a plain cluster, which has no proofs. With TLS a
 * record without one is of a member of whom nothing can be read: nobody is that.
 */
export const isThatNode = (
  parts: Pick<Parts, 'config'>,
  caller: { node: string; proof: string } | undefined,
  name: string,
  record: NodeRecord,
): boolean =>
  record.proof === undefined ? !parts.config.api.tls : caller?.node === name && caller.proof === record.proof;

/**
 * Before it is a member: its token may write what members write. May be repeated. Throws transient
 * `consul_unknown`.
 */
export async function letWrite(parts: Parts, node: string): Promise<void> {
  if (parts.security.current() === undefined) return;
  const done = await parts.consul.admin().acl.setNodePolicy(node, parts.config.consul.prefix);
  if (done.kind === 'unknown')
    throw transient(
      'consul_unknown',
      `its Consul token does not allow a member's work yet: ${done.cause.code}`,
    );
}

/** Takes back a node's Consul token and policy. May be repeated. Throws transient `consul_unknown`. */
export async function revokeToken(parts: Parts, node: string): Promise<void> {
  if (parts.security.current() === undefined) return;
  const revoked = await parts.consul.admin().acl.revokeNodeToken(node);
  if (revoked.kind === 'unknown')
    throw transient('consul_unknown', `its Consul token may still be good: ${revoked.cause.code}`);
}

/**
 * A removed node's Consul token and the gossip key it knows are worth nothing afterwards. May be repeated.
 */
export async function shutOut(parts: Parts, kv: ConsulKv, node: string): Promise<void> {
  if (parts.security.current() === undefined) return;
  const admin = parts.consul.admin();
  await revokeToken(parts, node);
  const unheard = async (): Promise<boolean> => {
    const members = await admin.catalog.members();
    return members.kind === 'ok' && !members.value.some((m) => m.name === node && m.status === 'alive');
  };
  if (!(await until(unheard, { timeout: GONE, every: 250 })))
    throw new AgentError({
      class: 'transient',
      code: 'still_alive',
      message: `Consul still hears the server of ${node}, which would learn a new gossip key too`,
      hint: `stop Consul on ${node}, or cut it off, then run the command again`,
    });
  await rotateGossip(gossipPartsOf(parts, kv), admin);
}

/**
 * The management token that a removed node knows is worth nothing afterwards. Once its server hears nothing
 * any more, of gossip or of Raft. May be repeated. Nothing while a member is of a version that would not
 * learn the new one: it could admit nobody.
 */
export async function newManagementToken(parts: Parts, kv: ConsulKv, view: View | null): Promise<boolean> {
  if (parts.security.current() === undefined) return true;
  if (!everybodyKnows(view)) return false;
  await rotateManagement(managementPartsOf(parts, kv), () => parts.consul.admin());
  return true;
}
