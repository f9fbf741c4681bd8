/** A joining manager's calls to a cluster it is not in yet. A node that is not the active names it; the caller is sent on. */
import { AgentError } from '../errors.ts';
import type { Admission, AdmitRequest } from './port.ts';

const DEADLINE = 10_000;
const HOPS = 3;

type Refusal = {
  message?: string;
  error_code?: string;
  hint?: string;
  active?: { host: string; port: number };
};

export function createPeerCalls(defaultPort: number) {
  async function post<T>(address: string, path: string, body: unknown, secret?: string): Promise<T> {
    let target = withPort(address, defaultPort);
    for (let hop = 0; hop < HOPS; hop++) {
      let reply: Response;
      try {
        reply = await fetch(`http://${target}/api/v1/peer/${path}`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
          },
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(DEADLINE),
        });
      } catch (cause) {
        throw new AgentError({
          class: 'transient',
          code: 'member_silent',
          message: `${target} does not answer`,
          cause,
        });
      }
      const text = (await reply.json().catch(() => ({}))) as Refusal;
      if (reply.ok) return text as T;
      if (text.error_code === 'not_cluster_master' && text.active !== undefined) {
        target = withPort(text.active.host, text.active.port);
        continue;
      }
      const hint = text.hint === undefined ? {} : { hint: text.hint };
      const known = reply.status < 500 && text.error_code !== 'not_cluster_master';
      throw new AgentError({
        class: known ? 'operator' : 'transient',
        code: text.error_code ?? 'refused',
        message: text.message ?? `${target} answered ${reply.status}`,
        ...hint,
      });
    }
    throw new AgentError({
      class: 'transient',
      code: 'no_active',
      message: 'the members do not agree on who is the active',
      hint: 'try again in a moment',
    });
  }

  return {
    admit: (address: string, request: AdmitRequest) => post<Admission>(address, 'admit', request),
    enrol: async (address: string, secret: string, node: string): Promise<void> => {
      await post(address, 'enrol', { node }, secret);
    },
  };
}

function withPort(address: string, port: number): string {
  if (/^\[.*\]:\d+$/.test(address) || /^[^:]+:\d+$/.test(address)) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
