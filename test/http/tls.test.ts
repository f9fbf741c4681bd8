/** The listener in a cluster with TLS: who is a peer, who is a person, and who is nobody. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { once } from 'node:events';
import { connect } from 'node:net';
import tls from 'node:tls';
import { AgentError } from '../../agent/errors.ts';
import { createCredentials } from '../../agent/http/credentials.ts';
import { createHttpServer, type HttpServer } from '../../agent/http/server.ts';
import { createPeerCalls } from '../../agent/peers/joining_calls.ts';
import { createPeers } from '../../agent/peers/peers.ts';
import { hashPassword, newBearer } from '../../agent/platform/password.ts';
import type { Ca } from '../../agent/platform/tls/ca.ts';
import { type ClientTls, connectionOptions } from '../../agent/platform/tls/fetch.ts';
import { fingerprintOf } from '../../agent/platform/tls/read.ts';
import { hashOf } from '../../agent/security/store.ts';
import { FakeAgent } from '../fakes/agent_api.ts';
import { createCa, expiredTls, nodeTls } from '../fixtures/certificates.ts';
import { testLog } from '../fixtures/log.ts';
import { expectAeadOnly } from '../fixtures/s_client.ts';

const HOST = '127.0.60.4';
const PORT = 18_764;
const URL = `https://${HOST}:${PORT}`;
const TOKEN = 'token-of-m1';
const VOTE = { index: 7, candidate: 'm1' };

let ca: Ca;
let other: Ca;
let shown: Required<ClientTls>;
let own: Required<ClientTls>;
let agent: FakeAgent;
let server: HttpServer;
const bearer = newBearer();
const log = testLog();

beforeAll(async () => {
  [ca, other] = await Promise.all([createCa('one'), createCa('other')]);
  [shown, own] = await Promise.all([nodeTls(ca, 'm2', HOST), nodeTls(ca, 'm1', '127.0.60.5')]);
  agent = new FakeAgent();
  agent.proofs = { m1: hashOf(TOKEN) };
  agent.authority = ca.certificate;
  server = createHttpServer({
    api: agent,
    manager: { edition: 'premium', version: '4.6' },
    secret: () => 's3cret',
    open: false,
    log: log.for('http'),
    tls: async () => shown,
    people: createCredentials({
      users: [
        { name: 'ann', password_hash: await hashPassword('correct horse'), role: 'admin' },
        { name: 'vic', password_hash: await hashPassword('battery'), role: 'viewer' },
      ],
      tokens: [{ name: 'monitor', token_hash: bearer.hash, role: 'viewer' }],
    }),
  });
  await server.listenTcp(HOST, PORT);
});
afterAll(() => server.close());
beforeEach(() => {
  agent.asked.length = 0;
});

const call = (
  path: string,
  { tls = { ca: ca.certificate } as ClientTls, method = 'GET', authorization = '' } = {},
) =>
  fetch(`${URL}${path}`, {
    ...connectionOptions({ tls, once: true }),
    method,
    headers: { 'content-type': 'application/json', ...(authorization === '' ? {} : { authorization }) },
    ...(method === 'GET' ? {} : { body: JSON.stringify(path.endsWith('vote') ? VOTE : {}) }),
  });
const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const vote = (tls: ClientTls, authorization = `Peer m1:${TOKEN}`) =>
  call('/api/v1/peer/vote', { tls, method: 'POST', authorization });

describe('a peer', () => {
  test('with a certificate of the cluster and its own token is answered', async () => {
    expect((await vote(own)).status).toBe(200);
    expect(agent.asked).toEqual([['vote', VOTE]]);
  });

  test('without a certificate is refused, and with a foreign or an expired one', async () => {
    for (const tls of [
      { ca: ca.certificate },
      { ...(await nodeTls(other, 'm1', HOST)), ca: ca.certificate },
      await expiredTls(ca, 'm1', HOST),
    ])
      expect((await vote(tls)).status).toBe(401);
    expect(agent.asked).toEqual([]);
  });

  test('that was removed is refused though its certificate holds, and so is a wrong token, and the plain secret', async () => {
    expect((await vote(own, 'Peer m9:its-token')).status).toBe(403);
    expect((await vote(own, 'Peer m1:guess')).status).toBe(403);
    expect((await vote(own, 'Bearer s3cret')).status).toBe(401);
    expect((await vote(own, basic('ann', 'correct horse'))).status).toBe(401);
    expect(agent.asked).toEqual([]);
  });

  test('that changes something, and one that is refused, is in the log with its address', async () => {
    const said = () => log.messages().slice(before);
    const before = log.messages().length;
    await vote(own);
    await vote(own, 'Peer m7:guess');
    await vote(own, 'Peer m7:guess');
    await call('/api/v1/peer/state', { tls: own, authorization: 'Peer m8:old' });
    await call('/api/v1/peer/reclone', { method: 'POST', authorization: `Peer m1:${TOKEN}` });
    expect(said()).toEqual([
      'http: audit: who="peer:m1" from="127.0.0.1" what="POST /api/v1/peer/vote" outcome="200" times="1"',
      'http: audit: who="unproven:m7" from="127.0.0.1" what="POST /api/v1/peer/vote" outcome="403 forbidden" times="1"',
      'http: audit: who="unproven:m8" from="127.0.0.1" what="GET /api/v1/peer/state" outcome="403 forbidden" times="1"',
      'http: audit: who="unproven:m1" from="127.0.0.1" what="POST /api/v1/peer/reclone" outcome="401 unauthorized" times="1"',
    ]);
    // What members read from each other in each tick is not news.
    await call('/api/v1/peer/state', { tls: own, authorization: `Peer m1:${TOKEN}` });
    expect(said()).toHaveLength(4);
  });

  test('that orders a fresh copy is named to the agent, which asks whether it holds the lease', async () => {
    const path = '/api/v1/peer/reclone';
    const reply = await call(path, { tls: own, method: 'POST', authorization: `Peer m1:${TOKEN}` });
    expect(reply.status).toBe(200);
    expect(agent.asked).toEqual([['wantReclone', 'm1']]);
  });

  test('gets a vote over a connection that is open already in less than 10 ms', async () => {
    const address = { host: HOST, port: PORT };
    const peers = createPeers(
      () => address,
      () => 'unused',
      () => ({ node: 'm1', token: TOKEN, tls: own }),
    );
    expect(await peers.vote('m2', VOTE, 1000)).toMatchObject({ kind: 'vote' });
    const times: number[] = [];
    for (let n = 0; n < 20; n++) {
      const began = performance.now();
      await peers.vote('m2', VOTE, 1000);
      times.push(performance.now() - began);
    }
    console.log(`a vote costs ${times.sort((a, b) => a - b)[10]?.toFixed(1)} ms`);
    const stranger = createPeers(
      () => address,
      () => 'unused',
      () => ({ node: 'm1', token: TOKEN, tls: { ...own, ca: other.certificate } }),
    );
    expect(await stranger.vote('m2', VOTE, 1000)).toEqual({ kind: 'unknown' });
  });
});

describe('a person', () => {
  test('with a right password does what the role allows, and the audit has the name', async () => {
    const admin = basic('ann', 'correct horse');
    expect((await call('/api/v1/resume', { method: 'POST', authorization: admin })).status).toBe(200);
    expect((await call('/api/v1/status', { authorization: basic('vic', 'battery') })).status).toBe(200);
    const refused = await call('/api/v1/resume', {
      method: 'POST',
      authorization: basic('vic', 'battery'),
    });
    expect(refused.status).toBe(403);
    expect(agent.asked).toEqual([['resume']]);
    expect(log.messages().slice(-2)).toEqual([
      'http: audit: who="ann" from="127.0.0.1" what="POST /api/v1/resume" outcome="200" times="1"',
      'http: audit: who="vic" from="127.0.0.1" what="POST /api/v1/resume" outcome="403 forbidden" times="1"',
    ]);
  });

  test('with a bearer token has its role', async () => {
    const authorization = `Bearer ${bearer.token}`;
    expect((await call('/metrics', { authorization })).status).toBe(200);
    expect((await call('/api/v1/resume', { method: 'POST', authorization })).status).toBe(403);
  });

  test('without credentials, with wrong ones, or with a certificate alone gets 401 and a challenge', async () => {
    for (const authorization of [
      '',
      basic('ann', 'wrong'),
      basic('nobody', 'correct horse'),
      'Bearer guess',
    ]) {
      const reply = await call('/api/v1/status', { authorization });
      expect(reply.status).toBe(401);
      expect(reply.headers.get('www-authenticate')).toContain('Basic');
    }
    expect((await call('/api/v1/resume', { method: 'POST', tls: own })).status).toBe(401);
    expect(agent.asked).toEqual([]);
  });

  test('and a load balancer read the health without any', async () => {
    expect((await call('/health/active', { method: 'GET' })).status).toBe(200);
  });
});

test('TLS is 1.2 with AEAD or 1.3, and nothing older is agreed to', async () => {
  await expectAeadOnly(`${HOST}:${PORT}`);
}, 120_000);

test('plain HTTP is refused', async () => {
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(PORT, HOST, () => socket.write('GET /health/live HTTP/1.0\r\n\r\n'));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.once('close', () => resolve(text));
    socket.once('error', () => resolve(text));
  });
  expect(answer).not.toContain('HTTP/1.1 200');
  expect(answer).not.toContain('status');
});

describe('a joining manager', () => {
  const request = {
    nodeName: 'm4',
    hostIp: '127.0.60.6',
    publicIp: null,
    apiPort: 8700,
    postgresPort: 5432,
    version: '0.1.0',
    priority: 100,
    nofailover: false,
    lease: { retryPeriod: 1000, renewDeadline: 4000, leaseDuration: 6000 },
  };

  test('sends nothing before the authority has the fingerprint of its token', async () => {
    const calls = createPeerCalls(PORT, { fingerprint: fingerprintOf(other.certificate) });
    const failed = await calls.admit(HOST, request).catch((error: { code: string }) => error.code);
    expect(failed).toBe('token_other_cluster');
    expect(agent.asked).toEqual([]);
    const right = createPeerCalls(PORT, { fingerprint: fingerprintOf(ca.certificate) });
    expect(await right.admit(HOST, request)).toMatchObject({ clusterId: 'c0ffee' });
    expect(agent.asked).toEqual([['admit', request]]);
    expect(log.messages().at(-1)).toBe(
      'http: audit: who="joiner:m4" from="127.0.0.1" what="POST /api/v1/peer/admit" outcome="200" times="1"',
    );
    agent.refusal = new AgentError({ class: 'operator', code: 'token_invalid', message: 'no' });
    await right.admit(HOST, request).catch(() => {});
    expect(log.messages().at(-1)).toBe(
      'http: audit: who="unproven:m4" from="127.0.0.1" what="POST /api/v1/peer/admit" outcome="409 token_invalid" times="1"',
    );
  });

  test.each([
    ['', () => ca.certificate],
    [', nor by one who adds his own to it', () => `${ca.certificate}${other.certificate}`],
  ] as const)(
    'is not admitted by somebody who shows the right authority and has no certificate of it%s',
    async (_, said) => {
      agent.authority = said();
      const impostor = createHttpServer({
        api: agent,
        manager: { edition: 'premium', version: '4.6' },
        secret: () => null,
        open: false,
        tls: async () => await nodeTls(other, 'm2', '127.0.60.7'),
      });
      await impostor.listenTcp('127.0.60.7', PORT);
      try {
        const calls = createPeerCalls(PORT, { fingerprint: fingerprintOf(ca.certificate) });
        const failed = await calls
          .admit('127.0.60.7', request)
          .catch((error: { code: string }) => error.code);
        expect(failed).toBe('member_silent');
        expect(agent.asked).toEqual([]);
      } finally {
        agent.authority = ca.certificate;
        await impostor.close();
      }
    },
  );

  test('enrols with its certificate and its token, before it is a member', async () => {
    const self = () => ({ node: 'm4', token: 'token-of-m4', tls: own });
    const calls = createPeerCalls(PORT, { fingerprint: '', self });
    await calls.enrol(HOST, 'unused', 'm4');
    expect(agent.asked).toEqual([['enrol', 'm4']]);
    const bare = await call('/api/v1/peer/enrol', { method: 'POST', authorization: 'Peer m4:token-of-m4' });
    expect(bare.status).toBe(401);
  });
});

test('a renewed certificate is shown to new connections at once, and open ones go on', async () => {
  const kept = connectionOptions({ tls: own });
  const open = () => fetch(`${URL}/health/live`, kept);
  expect((await open()).status).toBe(200);
  const before = shown;
  shown = await nodeTls(ca, 'm2', HOST);
  expect(shown.cert).not.toBe(before.cert);
  await server.renew();
  expect((await open()).status).toBe(200);
  const probe = Bun.spawn(['openssl', 's_client', '-connect', `${HOST}:${PORT}`, '-showcerts'], {
    stdin: new Blob(['']),
    stdout: 'pipe',
    stderr: 'ignore',
  });
  expect(await new Response(probe.stdout).text()).toContain(shown.cert.split('\n')[2] ?? 'none');
  expect((await vote(own)).status).toBe(200);
});

test('a connection that is in use goes on while its root is trusted, and is ended when that is dropped', async () => {
  const [first, own1] = [shown, own];
  const ended = { at: 'open' };
  const socket = tls.connect({ host: HOST, port: PORT, ...own1, ca: ca.certificate });
  await new Promise<void>((ready) => socket.once('secureConnect', () => ready()));
  socket.on('error', () => {});
  socket.on('close', () => {
    ended.at = 'closed';
  });
  // What follows the log is never through.
  socket.write(
    `GET /api/v1/logs?follow=1 HTTP/1.1\r\nhost: m2\r\nauthorization: Bearer ${bearer.token}\r\n\r\n`,
  );
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toStartWith('HTTP/1.1 200');
  const both = `${other.certificate}${ca.certificate}`;
  const next = await nodeTls(other, 'm2', HOST);
  try {
    shown = { ...first, ca: both };
    await server.renew();
    shown = { ...next, ca: both };
    await server.renew();
    await Bun.sleep(300);
    expect(ended.at).toBe('open');
    shown = next;
    await server.renew();
    for (let tries = 0; tries < 300 && ended.at === 'open'; tries++) await Bun.sleep(100);
    expect(ended.at).toBe('closed');
  } finally {
    socket.destroy();
    shown = first;
    await server.renew();
  }
}, 60_000);
