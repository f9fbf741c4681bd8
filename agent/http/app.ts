/**
 * The agent's HTTP interface as a web-standard application: no sockets, no runtime. Listening is server.ts.
 */
import { Hono } from 'hono';
import type { AgentApi } from '../api/types.ts';
import type { Logger } from '../log/log.ts';
import { apiRoutes } from './api.ts';
import { audit } from './audit.ts';
import { type Access, people } from './auth.ts';
import { cfyRoutes, type Manager } from './cfy.ts';
import { notFound, replyError } from './errors.ts';
import { guards } from './guards.ts';
import { healthRoutes } from './health.ts';
import { metricsRoutes } from './metrics.ts';
import { peerRoutes } from './peer.ts';

export interface AppOptions {
  readonly api: AgentApi;
  /** What `/version` says of the manager: `config.manager`. */
  readonly manager: Manager;
  readonly access: Access;
  readonly log?: Logger;
}

export function createApp({ api, manager, access, log }: AppOptions): Hono {
  const app = new Hono();
  app.onError(replyError(log));
  app.notFound((c) => replyError(log)(notFound(`nothing at ${c.req.method} ${c.req.path}`), c));
  for (const around of [audit(access, log), ...guards()]) app.use(around);
  app.route('/health', healthRoutes(api));
  app.route('/api/v1/peer', peerRoutes(api, access));
  for (const path of ['/api/*', '/metrics']) app.use(path, people(access));
  app.route('/api/v1', apiRoutes(api));
  for (const version of ['v3', 'v3.1']) app.route(`/api/${version}`, cfyRoutes(api, manager));
  app.route('/metrics', metricsRoutes(api));
  return app;
}
