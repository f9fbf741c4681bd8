/** `/api/v1`: what our own command line asks. */
import { type Context, Hono } from 'hono';
import type { AgentApi, ClusterStatus, NodeRow } from '../api/types.ts';
import { noSuchNode, notInCluster } from '../errors.ts';
import { notFound } from './errors.ts';
import {
  authorityBody,
  check,
  defined,
  idInPath,
  joinBody,
  leaseBody,
  logFollow,
  logLimit,
  nameInPath,
  nodeChangeBody,
  nothingBody,
  pauseBody,
  readBody,
  setActiveBody,
  startBody,
  tokenBody,
} from './schemas.ts';
import { followEvents, followLog } from './stream.ts';

/** The cluster, or the error that says there is none. */
export async function clusterNow(api: AgentApi): Promise<ClusterStatus> {
  const cluster = await api.cluster();
  if (!cluster.initialized) throw notInCluster();
  return cluster;
}

export async function nodeNow(api: AgentApi, name: string): Promise<NodeRow> {
  const { nodes } = await clusterNow(api);
  const found = nodes.find((node) => node.name === name);
  if (found) return found;
  throw noSuchNode(
    name,
    nodes.map((node) => node.name),
  );
}

function logQuery(c: Context) {
  const { since, component, limit } = c.req.query();
  return defined({
    since,
    component,
    limit: limit === undefined ? undefined : check(logLimit, limit, 'limit'),
  });
}

export function apiRoutes(api: AgentApi): Hono {
  const app = new Hono();
  app.get('/status', async (c) => c.json(await api.status()));
  app.get('/cluster', async (c) => c.json(await api.cluster()));
  app.get('/nodes', async (c) => c.json({ items: (await clusterNow(api)).nodes }));
  app.get('/nodes/:name', async (c) => c.json(await nodeNow(api, c.req.param('name'))));
  app.get('/history', async (c) => c.json({ items: await api.history() }));
  app.get('/operations/:id', (c) => {
    const id = c.req.param('id');
    const operation = api.operation(id);
    if (operation === null)
      throw notFound(`no operation ${id}`, 'an agent forgets its operations when it restarts');
    return c.json(operation);
  });
  app.get('/logs', (c) => {
    const query = logQuery(c);
    const follow = check(logFollow, c.req.query('follow') ?? '0', 'follow');
    if (follow === '1' || follow === 'true') return followLog(c, api, query);
    return c.json({ items: api.logs(query) });
  });
  app.get('/events', (c) => followEvents(c, api));

  app.post('/start', async (c) => c.json(await api.start(defined(await readBody(c, startBody))), 202));
  app.post('/join', async (c) => c.json(await api.join(defined(await readBody(c, joinBody))), 202));
  app.post('/set-active', async (c) => {
    const { node, timeout } = await readBody(c, setActiveBody);
    return c.json(await api.setActive(node, timeout, c.get('caller')), 202);
  });
  app.get('/files', (c) => c.json(api.files()));
  app.post('/files/accept', async (c) => {
    await readBody(c, nothingBody);
    return c.json({ deletions: await api.acceptDeletions() });
  });
  app.post('/pause', async (c) => {
    await api.pause((await readBody(c, pauseBody)).for);
    return c.json({});
  });
  app.post('/resume', async (c) => {
    await readBody(c, nothingBody);
    await api.resume();
    return c.json({});
  });
  app.get('/lease', (c) => c.json(api.lease()));
  app.post('/lease', async (c) =>
    c.json(await api.setLease(defined(await readBody(c, leaseBody)), c.get('caller'))),
  );
  app.patch('/nodes/:name', async (c) => {
    const change = defined(await readBody(c, nodeChangeBody));
    return c.json(
      await api.updateNode(check(nameInPath, c.req.param('name'), 'the name of the node'), change),
    );
  });
  app.get('/tokens', async (c) => c.json({ items: await api.tokens() }));
  app.post('/tokens', async (c) =>
    c.json(await api.createToken((await readBody(c, tokenBody)).ttl, c.get('caller'))),
  );
  app.delete('/tokens/:id', async (c) => {
    await api.revokeToken(check(idInPath, c.req.param('id'), 'the id of the token'));
    return c.json({});
  });
  app.get('/certificates', (c) => c.json({ items: api.certificates() }));
  app.post('/certificates/renew', async (c) => {
    await readBody(c, nothingBody);
    return c.json({ failed: await api.renewCertificates(), items: api.certificates() });
  });
  app.get('/authority', async (c) => c.json({ authority: await api.authorityStatus() }));
  app.post('/authority/renew', async (c) => {
    const { hold } = await readBody(c, authorityBody);
    return c.json({ authority: await api.renewAuthority(hold, c.get('caller')) }, 202);
  });
  app.delete('/nodes/:name', async (c) =>
    c.json(await api.remove(check(nameInPath, c.req.param('name'), 'the name of the node')), 202),
  );
  app.post('/nodes/:name/reinit', async (c) => {
    await readBody(c, nothingBody);
    await api.reinit(check(nameInPath, c.req.param('name'), 'the name of the node'));
    return c.json({}, 202);
  });
  return app;
}
