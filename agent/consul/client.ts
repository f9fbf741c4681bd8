/** The Consul client as the agent uses it: one transport, three interfaces on it. */
import { HttpCatalog } from './catalog.ts';
import { HttpKv } from './kv.ts';
import type { ConsulCatalog, ConsulKv, ConsulWatch } from './port.ts';
import { ConsulTransport, type TransportOptions } from './transport.ts';
import { KvWatch, type WatchTiming } from './watch.ts';

export interface ConsulClient {
  readonly kv: ConsulKv;
  readonly watch: ConsulWatch;
  readonly catalog: ConsulCatalog;
  /** To change servers or token, and to see which server is being asked. */
  readonly transport: ConsulTransport;
}

export function createConsulClient(options: TransportOptions, timing?: WatchTiming): ConsulClient {
  const transport = new ConsulTransport(options);
  const kv = new HttpKv(transport);
  return { kv, watch: new KvWatch(kv, timing), catalog: new HttpCatalog(transport), transport };
}
