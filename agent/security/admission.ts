/**
 * Certificates and secrets of a manager that joins: what it asks with, what the active answers, and what it
 * writes down.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import type { NodeConfig } from '../config/index.ts';
import { AgentError } from '../errors.ts';
import { fingerprintOf, keyFits, signedBy } from '../platform/tls/read.ts';
import { newCommonName, newRequests, type PerService, signNode } from './certificates.ts';
import { parseToken } from './join_token.ts';
import { rootOf, rootOfKey } from './roots.ts';
import { certificateRecord, hashOf, loadSecurity, SERVICES, type Security, securityStore } from './store.ts';
import type { JoinTokens } from './tokens.ts';

/** `AdmitRequest.security`: what a joiner sends to a cluster with TLS. Its keys stay with it. */
export interface SecurityRequest {
  readonly token: { readonly id: string; readonly secret: string };
  readonly requests: PerService<string>;
  /** Hash of the token it will prove itself with. */
  readonly proof: string;
  /** The secret of the Consul token it wants, a UUID: repeated, the same. */
  readonly consulToken: string;
}

/** `Admission.security`: what the active answers. */
export interface SecurityAdmission {
  /** `others`: roots that are trusted beside it, while the authority is renewed. */
  readonly ca: { readonly certificate: string; readonly others?: readonly string[] };
  readonly certificates: PerService<string>;
  readonly gossipKey: string;
  /**
   * Records without the authority's signature count for nothing there (signed_records.ts). Left out by
   * earlier versions.
   */
  readonly signed?: boolean;
}

/** What a manager gets when it has become a member, and not before: with these one can let others in. */
export interface MemberSecrets {
  readonly caKey: string;
  readonly managementToken: string;
}

/** A join's own secrets, kept while it goes on, so that it asks again with the same. */
export interface JoinSecrets {
  /** Fingerprint of the authority that the token names. */
  readonly fingerprint: string;
  readonly request: SecurityRequest;
  readonly keys: PerService<string>;
  readonly peerToken: string;
}

/** Throws operator `token_missing` or `token_invalid`. */
export async function prepareJoin(config: NodeConfig, token: string | undefined): Promise<JoinSecrets> {
  if (token === undefined)
    throw new AgentError({
      class: 'operator',
      code: 'token_missing',
      message: 'a join token is needed',
      hint: "make one with 'agent cluster token create' on a node of the cluster, and give it with --token - or AGENT_JOIN_TOKEN",
    });
  const { id, secret, fingerprint } = parseToken(token);
  const { keys, requests } = await newRequests(config.node_name);
  const peerToken = randomBytes(32).toString('base64url');
  const request = {
    token: { id, secret },
    requests,
    proof: hashOf(peerToken),
    consulToken: randomUUID(),
  };
  return { fingerprint, request, keys, peerToken };
}

export const tokenMissing = () =>
  new AgentError({
    class: 'operator',
    code: 'token_missing',
    message: 'this cluster lets a manager in only with a join token',
    hint: "make one with 'agent cluster token create' on a node of the cluster, and give it with --token - or AGENT_JOIN_TOKEN",
  });

export interface AdmitParts {
  readonly security: Security;
  readonly tokens: JoinTokens;
  readonly datacenter: string;
  /** Do all members let certificates in that have a name per service? */
  readonly ownNames: boolean;
  /** Makes the node's Consul token; throws when it was not confirmed. */
  readonly createNodeToken: (node: string, secret: string) => Promise<void>;
}

/**
 * On the active: takes the token, signs, and makes the node's Consul token. `certificate` and `proof` go into
 * the node's record. Throws as `JoinTokens.use`, operator `token_missing`, usage `bad_request`.
 */
export async function admitSecurity(
  parts: AdmitParts,
  joiner: { nodeName: string; hostIp: string; publicIp: string | null },
  request: SecurityRequest | undefined,
): Promise<{
  admission: SecurityAdmission;
  certificate: Security['certificate'];
  proof: string;
  /** Of the token it came with, ms. */
  lifeMs: number;
}> {
  const { security, tokens } = parts;
  if (request === undefined) throw tokenMissing();
  const { nodeName: node, hostIp, publicIp } = joiner;
  const lifeMs = await tokens.use(request.token, {
    node,
    hostIp,
    key: fingerprintOf(request.requests.agent),
  });
  const certificates = await signNode(
    security.ca,
    request.requests,
    { node, hostIp, publicIp, datacenter: parts.datacenter },
    newCommonName(node),
    { shared: !parts.ownNames },
  );
  await parts.createNodeToken(node, request.consulToken);
  return {
    admission: {
      ca: {
        certificate: security.ca.certificate,
        others: security.roots.slice(1).map(({ certificate }) => certificate),
      },
      certificates,
      gossipKey: security.secrets.gossipKey,
    },
    certificate: certificateRecord(certificates),
    proof: request.proof,
    lifeMs,
  };
}

/**
 * On the joiner: checks that the answer fits what was asked, then writes it all. Throws operator
 * `admission_wrong`.
 */
export function acceptAdmission(
  config: NodeConfig,
  join: JoinSecrets,
  admission: SecurityAdmission,
): Security {
  const { ca, certificates, gossipKey } = admission;
  const fits =
    fingerprintOf(ca.certificate) === join.fingerprint &&
    SERVICES.every(
      (name) => keyFits(certificates[name], join.keys[name]) && signedBy(certificates[name], ca.certificate),
    );
  if (!fits) throw wrong();
  const store = securityStore(config);
  store.saveRoots([ca.certificate, ...(ca.others ?? [])].map(rootOf));
  for (const name of SERVICES)
    store.savePair(name, { key: join.keys[name], certificate: certificates[name] });
  store.saveSecrets({
    peerToken: join.peerToken,
    consulToken: join.request.consulToken,
    managementToken: '',
    gossipKey,
  });
  const loaded = loadSecurity(config);
  if (loaded === undefined) throw wrong();
  return loaded;
}

/**
 * On a node that was enrolled: writes what makes it a full member. Idempotent. Throws operator
 * `admission_wrong`.
 */
export function acceptEnrolment(config: NodeConfig, { caKey, managementToken }: MemberSecrets): void {
  const store = securityStore(config);
  const [roots, secrets] = [store.roots(), store.secrets()];
  if (secrets === undefined || rootOfKey(caKey, roots) === undefined) throw wrong();
  store.saveKeys(
    caKey,
    store.keys().filter((key) => key.trim() !== caKey.trim()),
  );
  store.saveRoots(store.roots());
  store.saveSecrets({ ...secrets, managementToken });
}

const wrong = () =>
  new AgentError({
    class: 'operator',
    code: 'admission_wrong',
    message: 'the certificates received do not match what was requested',
    hint: 'is something between this manager and the cluster? Nothing was written; join with another token',
  });
