/**
 * A joining manager's calls to a cluster it is not in yet. A node that is not the active names it; the caller
 * is sent on.
 */

import type { Admission, AdmitRequest, Enrolled } from '../api/types.ts';
import { hostPort } from '../config/index.ts';
import { AgentError } from '../errors.ts';
import { type ClientTls, connectionOptions, directFetch } from '../platform/tls/fetch.ts';
import { checkedAdmission } from './admission_reply.ts';
import type { PeerSelf } from './peers.ts';
import { fetchPinnedCa } from './pinned_ca.ts';

const DEADLINE = 10_000;
const HOPS = 3;

type Refusal = {
  message?: string;
  error_code?: string;
  hint?: string;
  active?: { host: string; port: number };
};

export interface CallTls {
  /** From the join token: nothing is sent before a node has shown the authority with this fingerprint. */
  readonly fingerprint: string;
  /** Once there are certificates. */
  readonly self?: () => PeerSelf | undefined;
}

/** `tls` undefined: a plain cluster. */
export function createPeerCalls(defaultPort: number, tls?: CallTls) {
  let ca: string | undefined;

  async function connectionTo(target: string): Promise<{ scheme: string; options: Record<string, unknown> }> {
    if (tls === undefined) return { scheme: 'http', options: {} };
    const own = tls.self?.()?.tls;
    if (own === undefined) ca ??= await fetchPinnedCa(target, tls.fingerprint, DEADLINE);
    const trusted: ClientTls = own ?? { ca: ca ?? '' };
    return { scheme: 'https', options: connectionOptions({ tls: trusted, once: true }) };
  }

  function authorization(secret: string | undefined): Record<string, string> {
    const self = tls?.self?.();
    if (self !== undefined) return { authorization: `Peer ${self.node}:${self.token}` };
    return secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  }

  async function post<T>(address: string, path: string, body: unknown, secret?: string): Promise<T> {
    let target = withPort(address, defaultPort);
    for (let hop = 0; hop < HOPS; hop++) {
      const { scheme, options } = await connectionTo(target);
      let reply: Response;
      try {
        reply = await directFetch(`${scheme}://${target}/api/v1/peer/${path}`, {
          ...options,
          redirect: 'manual',
          method: 'POST',
          headers: { 'content-type': 'application/json', ...authorization(secret) },
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(DEADLINE),
        });
      } catch (cause) {
        throw connectionError(target, cause);
      }
      const text = (await reply.json().catch(() => ({}))) as Refusal;
      if (reply.ok) return text as T;
      if (text.error_code === 'not_cluster_master' && text.active !== undefined) {
        target = withPort(text.active.host, text.active.port);
        continue;
      }
      throw refusalOf(target, reply.status, text);
    }
    throw new AgentError({
      class: 'transient',
      code: 'no_active',
      message: 'the members do not agree on which of them is the active',
      hint: 'try again in a moment',
    });
  }

  return {
    admit: async (address: string, request: AdmitRequest): Promise<Admission> =>
      checkedAdmission(await post<unknown>(address, 'admit', request)),
    enrol: (address: string, secret: string, node: string) =>
      post<Enrolled>(address, 'enrol', { node }, secret),
    keep: async (address: string, secret: string, node: string): Promise<void> => {
      await post(address, 'keep', { node }, secret);
    },
  };
}

function refusalOf(target: string, status: number, { error_code, message, hint }: Refusal): AgentError {
  const known = status < 500 && error_code !== 'not_cluster_master';
  return new AgentError({
    class: known ? 'operator' : 'transient',
    code: error_code ?? 'refused',
    message: message ?? `${target} answered ${status}`,
    ...(hint === undefined ? {} : { hint }),
  });
}

function connectionError(target: string, cause: unknown): AgentError {
  const { code, message = '' } = cause as { code?: string; message?: string };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || /NotValidForName|altname/i.test(message))
    return new AgentError({
      class: 'operator',
      code: 'name_not_in_certificate',
      message: `the certificate of ${target} is not for that name`,
      hint: 'use its host_ip, its public_ip or its node name',
      cause,
    });
  return new AgentError({
    class: 'transient',
    code: 'member_silent',
    message: `${target} does not answer`,
    cause,
  });
}

const withPort = (address: string, port: number): string =>
  /^\[.*\]:\d+$/.test(address) || /^[^:]+:\d+$/.test(address) ? address : hostPort(address, port);
