/**
 * The cluster's authority, as a node shows it to somebody who has only its fingerprint. The connection is not
 * verified: what comes is public, and counts for nothing unless its fingerprint is the one in the token. (On
 * Bun a client cannot see the certificate of the connection itself.)
 */
import { request } from 'node:https';
import { AgentError } from '../errors.ts';
import { pemBlocks } from '../platform/tls/bundle.ts';
import { fingerprintOf } from '../platform/tls/read.ts';

const LIMIT = 64 * 1024;

function fetchUnverified(url: string, ms: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { rejectUnauthorized: false, agent: false, signal: AbortSignal.timeout(ms) },
      (reply) => {
        let text = '';
        reply.setEncoding('utf8');
        reply.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > LIMIT) sent.destroy(new Error('the reply is too long'));
        });
        reply.once('end', () => resolve(text));
        reply.once('error', reject);
      },
    );
    sent.once('error', reject);
    sent.end();
  });
}

/** `target`: HOST:PORT. Throws `member_silent` (transient), `token_other_cluster` (operator). */
export async function fetchPinnedCa(target: string, fingerprint: string, ms: number): Promise<string> {
  let certificate: unknown;
  try {
    const text = await fetchUnverified(`https://${target}/api/v1/peer/ca`, ms);
    ({ certificate } = JSON.parse(text) as { certificate?: unknown });
  } catch (cause) {
    throw new AgentError({
      class: 'transient',
      code: 'member_silent',
      message: `${target} does not answer like a node of a cluster with TLS`,
      cause,
    });
  }
  // That one alone: whatever else the text holds would be trusted with it.
  const [shown] = typeof certificate === 'string' ? pemBlocks(certificate) : [];
  if (shown !== undefined && fits(shown, fingerprint)) return shown;
  throw new AgentError({
    class: 'operator',
    code: 'token_other_cluster',
    message: `${target} does not belong to the cluster that this join token is for, or the token was altered`,
    hint: "make a token on that cluster with 'agent cluster token create', and copy it whole",
  });
}

function fits(certificate: string, fingerprint: string): boolean {
  try {
    return fingerprintOf(certificate) === fingerprint;
  } catch {
    return false;
  }
}
