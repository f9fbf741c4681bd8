/** `/api/v3.1` and `/api/v3`: what the clients of Cloudify 4.x ask (CONTRACTS 11). Success is always 200. */
import { type Context, Hono } from 'hono';
import type { AgentApi, ClusterStatus, NodeRow, ServiceRow } from '../api/types.ts';
import { notInCluster, removedFromCluster } from '../errors.ts';
import { clusterNow, nodeNow } from './api.ts';
import { notActive } from './errors.ts';
import {
  cfyJoinBody,
  cfyMasterBody,
  cfyOptionsBody,
  cfyStartBody,
  check,
  defined,
  readBody,
  readJson,
} from './schemas.ts';

/** Edition and version of the manager the agent runs on. */
export interface Manager {
  readonly edition: string;
  readonly version: string;
  readonly build?: string | undefined;
  readonly date?: string | undefined;
  readonly commit?: string | undefined;
}

/** How long a switchover asked for by PATCH may take. These clients poll, they have no such option. */
const SWITCHOVER_TIMEOUT = 60_000;

const page = <T>(items: T[]) => ({
  items,
  metadata: { pagination: { total: items.length, size: items.length, offset: 0 } },
});

/** `_include=a,b`: only these fields. */
function include<T extends object>(c: Context, value: T): Partial<T> {
  const wanted = c.req.query('_include')?.split(',');
  if (!wanted) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => wanted.includes(key))) as Partial<T>;
}

function clusterView(c: Context, api: AgentApi, cluster: ClusterStatus) {
  const since = c.req.query('since');
  const logs = api
    .logs(since === undefined ? {} : { since })
    .map(({ timestamp, message, cursor }) => ({ timestamp, message, cursor }));
  const { nodes: _, ...rest } = cluster;
  return include(c, { ...rest, logs });
}

const nodeView = ({ name, host_ip, public_ip, online, master, initialized, checks }: NodeRow) => ({
  name,
  host_ip,
  public_ip: public_ip ?? host_ip,
  online,
  master,
  initialized,
  checks,
});

const UNIT_STATES: Record<ServiceRow['state'], [active: string, sub: string]> = {
  running: ['active', 'running'],
  stopped: ['inactive', 'dead'],
  failed: ['failed', 'failed'],
  unknown: ['unknown', 'unknown'],
};

function serviceView({ name, displayName, state }: ServiceRow) {
  const [ActiveState, SubState] = UNIT_STATES[state];
  const LoadState = state === 'unknown' ? 'unknown' : 'loaded';
  return {
    display_name: displayName,
    unit_id: name,
    instances: [{ Id: name, LoadState, ActiveState, SubState }],
  };
}

/** Changes of the cluster are the active's: elsewhere these clients are told to try the next manager. */
async function requireActive(api: AgentApi): Promise<void> {
  if (api.health().active) return;
  if ((await api.status()).removed) throw removedFromCluster();
  throw notActive((await clusterNow(api)).active);
}

export function cfyRoutes(api: AgentApi, manager: Manager): Hono {
  const app = new Hono();
  app.get('/cluster', async (c) => {
    if ((await api.status()).removed) throw removedFromCluster();
    return c.json(clusterView(c, api, await api.cluster()));
  });
  app.put('/cluster', async (c) => {
    const body = await readJson(c);
    if (typeof body === 'object' && body !== null && 'join_addrs' in body) {
      const { host_ip, node_name, join_addrs, options, credentials } = check(cfyJoinBody, body, 'the body');
      const token = typeof credentials === 'string' ? { token: credentials } : {};
      await api.join({ hostIp: host_ip, nodeName: node_name, addresses: join_addrs, options, ...token });
    } else {
      const { host_ip, node_name, options } = check(cfyStartBody, body, 'the body');
      await api.start({ hostIp: host_ip, nodeName: node_name, options });
    }
    return c.json(clusterView(c, api, await api.cluster()));
  });
  app.patch('/cluster', async (c) => {
    const { master } = await readBody(c, cfyMasterBody);
    await requireActive(api);
    await api.setActive(master, SWITCHOVER_TIMEOUT, c.get('caller'));
    return c.json(clusterView(c, api, await api.cluster()));
  });
  app.get('/cluster/nodes', async (c) => c.json(page((await clusterNow(api)).nodes.map(nodeView))));
  app.get('/cluster/nodes/:name', async (c) => {
    const node = await nodeNow(api, c.req.param('name'));
    return c.json({ ...nodeView(node), options: node.options ?? {} });
  });
  app.patch('/cluster/nodes/:name', async (c) => {
    const { options } = await readBody(c, cfyOptionsBody);
    await requireActive(api);
    const node = await nodeNow(api, c.req.param('name'));
    const changed = await api.updateNode(node.name, defined(options));
    return c.json({ ...nodeView(changed), options: changed.options ?? {} });
  });
  app.delete('/cluster/nodes/:name', async (c) => {
    await requireActive(api);
    const node = await nodeNow(api, c.req.param('name'));
    await api.remove(node.name);
    return c.json(nodeView(node));
  });
  app.get('/status', async (c) => {
    const status = await api.status();
    if (status.removed) throw removedFromCluster();
    if (!status.initialized) throw notInCluster();
    if (!api.health().active) throw notActive(null);
    return c.json({ status: 'running', services: status.services.map(serviceView) });
  });
  app.get('/version', (c) => {
    const { edition, version, build = null, date = null, commit = null } = manager;
    return c.json({ edition, version, build, date, commit });
  });
  return app;
}
