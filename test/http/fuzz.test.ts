/**
 * Every route, every string field, hostile strings. A Consul that records what it is asked must be asked for
 * nothing but keys of ours, and nothing that it says may come out in a reply.
 */

import { describe, expect, test } from 'bun:test';
import { HttpKv } from '../../agent/consul/kv.ts';
import { ConsulTransport } from '../../agent/consul/transport.ts';
import { createApp } from '../../agent/http/app.ts';
import { joinTokens } from '../../agent/security/tokens.ts';
import { FakeAgent } from '../fakes/agent_api.ts';
import { testLog } from '../fixtures/log.ts';
import { ON_SOCKET, SECRET } from './app.ts';

const CANARY = 'what-consul-said-7f3a';
const HOSTILE = [
  '../../../../acl/token/self',
  '..%2f..%2f..%2facl%2ftoken%2fself',
  '%2e%2e/%2e%2e/acl/token/self',
  '..',
  '.',
  '/',
  '//evil.invalid/x',
  'a\\..\\..\\b',
  'a?recurse',
  'a#b',
  'a\0b',
  'a\r\nX-Consul-Token: b',
  '__proto__',
  'constructor',
  '{"$ne":null}',
  "'; drop table x; --",
  '$(reboot)',
  'ü'.repeat(5000),
  'x'.repeat(20_000),
  '',
];

/** `status`, and a body that nobody but this node may see. */
function under(status: number) {
  const asked: string[] = [];
  const transport = new ConsulTransport({
    servers: ['http://consul.invalid'],
    token: 'node-token',
    deadlineMs: 20,
    send: async ({ url, body }) => {
      asked.push(`${new URL(url).pathname} ${body ?? ''}`);
      return {
        kind: 'reply',
        status,
        body: `{"SecretID":"${CANARY}"}`,
        headers: new Headers({ 'x-consul-index': '7' }),
      };
    },
  });
  const agent = new FakeAgent();
  const log = testLog();
  const tokens = joinTokens({ kv: new HttpKv(transport), prefix: 'cloudify/cluster/', now: () => 0 });
  Object.assign(agent, {
    admit: async (request: { security?: { token: { id: string; secret: string } } }) => {
      if (request.security !== undefined) await tokens.check(request.security.token);
      return {};
    },
    revokeToken: async (id: string) => void (await tokens.revoke(id)),
    tokens: () => tokens.list(),
    createToken: (ttl: number, by: string) => tokens.create(ttl, by, 'ab'.repeat(32)),
  });
  const manager = { edition: 'premium', version: '4.6' };
  const app = createApp({ api: agent, manager, access: ON_SOCKET, log: log.for('http') });
  return { app, asked };
}

const ADMIT = {
  nodeName: 'm4',
  hostIp: '127.0.0.14',
  publicIp: null,
  apiPort: 8700,
  postgresPort: 5432,
  version: '0.1.0',
  priority: 100,
  nofailover: false,
  deviceId: 'ABCDEFG-1234567',
  security: {
    token: { id: '0123abcd', secret: 'x'.repeat(43) },
    requests: { agent: 'a', consul: 'b', postgres: 'c' },
    proof: 'a'.repeat(64),
    consulToken: '2d5b6a7c-0000-4000-8000-000000000000',
  },
  lease: { retryPeriod: 1000, renewDeadline: 4000, leaseDuration: 6000 },
};
const START = { hostIp: '127.0.0.11', nodeName: 'm1', publicIp: 'x', options: { a: 'b' } };
const CFY = {
  host_ip: '127.0.0.11',
  node_name: 'm1',
  options: { a: 'b' },
  join_addrs: ['127.0.0.12'],
  credentials: 'c',
};

/** A body that each route with one takes, by method and path. */
const BODIES: Record<string, unknown> = {
  'POST /api/v1/peer/admit': ADMIT,
  'POST /api/v1/peer/enrol': { node: 'm4' },
  'POST /api/v1/peer/keep': { node: 'm4' },
  'POST /api/v1/peer/vote': { index: 1, candidate: 'm2' },
  'POST /api/v1/peer/failsafe': { holder: 'm1', instance: 'i', epoch: 1 },
  'POST /api/v1/peer/reclone': {},
  'POST /api/v1/start': START,
  'POST /api/v1/join': { ...START, addresses: ['127.0.0.11'], token: 'x' },
  'POST /api/v1/set-active': { node: 'm2', timeout: '60s' },
  'POST /api/v1/files/accept': {},
  'POST /api/v1/pause': { for: '10m' },
  'POST /api/v1/resume': {},
  'POST /api/v1/lease': { preset: 'fast' },
  'PATCH /api/v1/nodes/:name': { priority: 10 },
  'POST /api/v1/tokens': { ttl: '1h' },
  'POST /api/v1/certificates/renew': {},
  'POST /api/v1/authority/renew': { hold: true },
  'POST /api/v1/nodes/:name/reinit': {},
  'PUT /api/v3.1/cluster': CFY,
  'PATCH /api/v3.1/cluster': { master: 'm2' },
  'PATCH /api/v3.1/cluster/nodes/:name': { options: { priority: 10 } },
};

type Change = (value: string) => unknown;
/** One function per string in `body`, which gives the whole with that string replaced. */
function changesOf(body: unknown): Change[] {
  if (typeof body === 'string') return [(value) => value];
  if (Array.isArray(body))
    return body.flatMap((item, i) =>
      changesOf(item).map(
        (change): Change =>
          (value) =>
            body.with(i, change(value)),
      ),
    );
  if (typeof body !== 'object' || body === null) return [];
  return Object.entries(body).flatMap(([key, item]) =>
    changesOf(item).map(
      (change): Change =>
        (value) => ({ ...body, [key]: change(value) }),
    ),
  );
}

const routes = [...new Set(under(200).app.routes.map(({ method, path }) => `${method} ${path}`))]
  .filter((route) => !route.startsWith('ALL ') && !route.includes('*') && !/\/(events|logs)$/.test(route))
  .sort();

test('every route that takes a body is among those that are tried', () => {
  const bodiless = /^(GET|DELETE|OPTIONS|HEAD) |\/api\/v3\/|^POST \/api\/v1\/peer\/enrol/;
  expect(routes.filter((route) => !bodiless.test(route) && BODIES[route] === undefined)).toEqual([]);
});

describe.each([200, 403, 404, 500])('Consul answers %p', (status) => {
  test.each(routes)('%s', async (route) => {
    const { app, asked } = under(status);
    const [method = '', path = ''] = route.split(' ');
    const headers = { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' };
    const body = BODIES[route];
    const requests: [string, unknown][] = [];
    for (const value of HOSTILE) {
      if (path.includes(':') && value !== '')
        requests.push([path.replace(/:\w+/, encodeURIComponent(value)), body]);
      for (const change of changesOf(body)) requests.push([path.replace(/:\w+/, 'm2'), change(value)]);
      requests.push([
        `${path.replace(/:\w+/, 'm2')}?lag=${encodeURIComponent(value)}&_include=${encodeURIComponent(value)}`,
        body,
      ]);
    }
    for (const [to, what] of requests) {
      const sent = await app.request(to, {
        method,
        headers,
        ...(what === undefined ? {} : { body: JSON.stringify(what) }),
      });
      const text = await sent.text();
      expect(text).not.toContain(CANARY);
      expect(sent.status).toBeLessThan(600);
    }
    for (const line of asked) expect(line).toMatch(/^\/v1\/kv\/cloudify\/cluster\/tokens\/([0-9a-f]{8})? /);
  });
});
