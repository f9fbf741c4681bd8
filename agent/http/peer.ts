/** `/api/v1/peer`: what agents ask each other. The asking side is peers.ts. */
import { Hono } from 'hono';
import type { AgentApi } from '../api/types.ts';
import { stateToWire, voteToWire } from '../peers/peers.ts';
import { type Access, admission, enrolment, peerOf, peersOnly } from './auth.ts';
import { notFound } from './errors.ts';
import { admitBody, enrolBody, failsafeBody, readBody, voteBody } from './schemas.ts';

export function peerRoutes(api: AgentApi, access: Access): Hono {
  const app = new Hono();
  app.post('/admit', admission(access), async (c) => {
    const request = await readBody(c, admitBody);
    c.set('claimed', request.nodeName);
    const admitted = await api.admit(request);
    c.set('caller', `joiner:${request.nodeName}`);
    return c.json(admitted);
  });
  // For a joining manager, which compares it with the fingerprint in its token. A certificate is no secret.
  app.get('/ca', (c) => {
    const certificate = api.caCertificate();
    if (certificate === null) throw notFound('this manager has no cluster authority');
    return c.json({ certificate });
  });
  app.post('/enrol', enrolment(access), async (c) => {
    const { node } = await readBody(c, enrolBody);
    const enrolled = await api.enrol(node, peerOf(c));
    c.set('caller', `joiner:${node}`);
    return c.json(enrolled);
  });
  app.post('/keep', enrolment(access), async (c) => {
    const { node } = await readBody(c, enrolBody);
    await api.keepReserved(node, peerOf(c));
    c.set('caller', `joiner:${node}`);
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
