/** `/api/v1/peer`: what agents ask each other. The asking side is peers.ts. */
import { Hono } from 'hono';
import { type Access, admission, enrolment, peerOf, peersOnly } from './auth.ts';
import { notFound } from './errors.ts';
import { stateToWire, voteToWire } from './peers.ts';
import type { AgentApi } from './port.ts';
import { admitBody, enrolBody, failsafeBody, readBody, voteBody } from './schemas.ts';

export function peerRoutes(api: AgentApi, access: Access): Hono {
  const app = new Hono();
  app.post('/admit', admission(access), async (c) => c.json(await api.admit(await readBody(c, admitBody))));
  // For a joining manager, which compares it with the fingerprint in its token. A certificate is no secret.
  app.get('/ca', (c) => {
    const certificate = api.caCertificate();
    if (certificate === null) throw notFound('this manager has no cluster authority');
    return c.json({ certificate });
  });
  app.post('/enrol', enrolment(access), async (c) => {
    return c.json(await api.enrol((await readBody(c, enrolBody)).node, peerOf(c)));
  });
  app.post('/keep', enrolment(access), async (c) => {
    await api.keepReserved((await readBody(c, enrolBody)).node, peerOf(c));
    return c.json({});
  });
  app.use(peersOnly(access));
  app.post('/vote', async (c) => c.json(voteToWire(await api.vote(await readBody(c, voteBody)))));
  app.get('/state', async (c) => c.json(stateToWire(await api.peerState())));
  app.post('/failsafe', async (c) => c.json({ agreed: api.agreeFailsafe(await readBody(c, failsafeBody)) }));
  app.get('/lags', (c) => c.json(api.lags()));
  app.post('/reclone', async (c) => {
    await api.wantReclone(peerOf(c)?.node);
    return c.json({});
  });
  return app;
}
