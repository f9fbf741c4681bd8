/** `/api/v1/peer`: what agents ask each other. The asking side is peers.ts. */
import { Hono } from 'hono';
import { type Access, admission, peersOnly } from './auth.ts';
import { stateToWire, voteToWire } from './peers.ts';
import type { AgentApi } from './port.ts';
import { admitBody, enrolBody, failsafeBody, readBody, voteBody } from './schemas.ts';

export function peerRoutes(api: AgentApi, access: Access): Hono {
  const app = new Hono();
  app.post('/admit', admission(access), async (c) => c.json(await api.admit(await readBody(c, admitBody))));
  app.use(peersOnly(access));
  app.post('/vote', async (c) => c.json(voteToWire(await api.vote(await readBody(c, voteBody)))));
  app.get('/state', async (c) => c.json(stateToWire(await api.peerState())));
  app.post('/failsafe', async (c) => c.json({ agreed: api.agreeFailsafe(await readBody(c, failsafeBody)) }));
  app.get('/lags', (c) => c.json(api.lags()));
  app.post('/enrol', async (c) => {
    await api.enrol((await readBody(c, enrolBody)).node);
    return c.json({});
  });
  app.post('/reclone', async (c) => {
    await api.wantReclone();
    return c.json({});
  });
  return app;
}
