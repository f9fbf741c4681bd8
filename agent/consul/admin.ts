/** Consul with the management token: what only the active does, at start, join and remove. */
import { ConsulAcl } from './acl.ts';
import { unexpected } from './answers.ts';
import { HttpCatalog } from './catalog.ts';
import { ConsulKeyring } from './keyring.ts';
import { HttpKv } from './kv.ts';
import type { CallOptions, ConsulCatalog, ConsulKv, Done, Unknown } from './port.ts';
import { ConsulTransport, type TransportOptions } from './transport.ts';

export interface ConsulAdmin {
  readonly acl: ConsulAcl;
  readonly keyring: ConsulKeyring;
  /** For autopilot, remove-peer and force-leave, which a node's own token may not do. */
  readonly catalog: ConsulCatalog;
  /** For keys that are another node's own. */
  readonly kv: ConsulKv;
  /** The first server reads its files again: certificates and tokens. It may be repeated. */
  reload(options?: CallOptions): Promise<Done | Unknown>;
  /** The first server goes out of Raft and ends. */
  leave(options?: CallOptions): Promise<Done | Unknown>;
}

/**
 * `options.token` is the management token; in a plain cluster there is none, and `acl` and `keyring` are not
 * used.
 */
export function createConsulAdmin(options: TransportOptions): ConsulAdmin {
  const transport = new ConsulTransport(options);
  async function order(what: string, options: CallOptions): Promise<Done | Unknown> {
    const call = { method: 'PUT', path: `/v1/agent/${what}`, repeatable: true } as const;
    const reply = await transport.call(call, { ...options, target: 'local' });
    if (reply.kind === 'unknown') return reply;
    return reply.status === 200 ? { kind: 'ok' } : unexpected(reply, true);
  }
  return {
    acl: new ConsulAcl(transport),
    keyring: new ConsulKeyring(transport),
    catalog: new HttpCatalog(transport),
    kv: new HttpKv(transport),
    reload: (options = {}) => order('reload', options),
    leave: (options = {}) => order('leave', options),
  };
}
