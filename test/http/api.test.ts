import { describe, expect, test } from 'bun:test';
import { AgentError } from '../../agent/errors.ts';
import { clusterStatus, logLine, operation, refusal } from '../fakes/agent_api.ts';
import { ON_TCP, reply, SECRET, testApp } from './app.ts';

describe('/api/v1', () => {
  test('reads answer what the agent says', async () => {
    const { agent, get } = testApp();
    expect(await (await get('/api/v1/status')).json()).toEqual(agent.statusNow);
    expect(await (await get('/api/v1/cluster')).json()).toEqual(clusterStatus());
    expect(await (await get('/api/v1/nodes')).json()).toEqual({ items: clusterStatus().nodes });
    expect(await (await get('/api/v1/nodes/m2')).json()).toMatchObject({ name: 'm2' });
    expect(await (await get('/api/v1/history')).json()).toEqual({ items: agent.records });
  });

  test('an unknown node is 404 and names those there are', async () => {
    const { get } = testApp();
    expect(await reply(await get('/api/v1/nodes/m9'))).toEqual({
      status: 404,
      body: {
        message: 'no node m9 in this cluster',
        error_code: 'not_found',
        hint: 'its nodes: m1, m2, m3',
      },
    });
  });

  test('nodes of a manager without a cluster are refused with not_in_cluster', async () => {
    const { agent, get } = testApp();
    agent.clusters = [clusterStatus({ initialized: false, nodes: [] })];
    expect(await reply(await get('/api/v1/nodes'))).toMatchObject({
      status: 400,
      body: { error_code: 'not_in_cluster' },
    });
  });

  test('start and join are filed with what was given, and answer 202 with the operation', async () => {
    const { agent, send } = testApp();
    agent.operations = [operation()];
    const start = { hostIp: '127.0.0.11', nodeName: 'm1', options: { 'lease.preset': 'fast' } };
    expect((await send('POST', '/api/v1/start', start)).status).toBe(202);
    const join = { addresses: ['127.0.0.11'], token: 't' };
    expect((await send('POST', '/api/v1/join', join)).status).toBe(202);
    expect(agent.asked).toEqual([
      ['start', start],
      ['join', { ...join, options: {} }],
    ]);
  });

  test('an operation is told by its id, and 404 once it is forgotten', async () => {
    const { agent, get } = testApp();
    agent.operations = [operation()];
    expect((await get('/api/v1/operations/op-1')).status).toBe(200);
    expect((await get('/api/v1/operations/op-2')).status).toBe(404);
  });

  test('lease times are read, and changed by whoever calls; a body that is none is refused', async () => {
    const { agent, get, send } = testApp();
    expect(await (await get('/api/v1/lease')).json()).toEqual(agent.leaseNow);
    const change = { preset: 'fast', multiplier: 2, renewDeadline: '5s', leaseDuration: 9 };
    expect((await send('POST', '/api/v1/lease', change)).status).toBe(200);
    expect(agent.asked).toEqual([
      ['setLease', { preset: 'fast', multiplier: 2, renewDeadline: 5000, leaseDuration: 9000 }, 'socket'],
    ]);
    for (const bad of [
      {},
      { preset: 'slow' },
      { multiplier: 0.5 },
      { multiplier: 21 },
      { leaseDuration: -1 },
      { lease: 1 },
    ])
      expect((await send('POST', '/api/v1/lease', bad)).status).toBe(400);
    expect(agent.asked).toHaveLength(1);
  });

  test('requests reach the agent with durations in milliseconds', async () => {
    const { agent, send } = testApp();
    await send('POST', '/api/v1/set-active', { node: 'm2', timeout: 5 });
    await send('POST', '/api/v1/set-active', { node: 'm2' });
    await send('POST', '/api/v1/pause', { for: '10min' });
    await send('POST', '/api/v1/pause');
    await send('POST', '/api/v1/nodes/m3/reinit');
    await send('DELETE', '/api/v1/nodes/m3');
    expect(agent.asked).toEqual([
      ['setActive', 'm2', 5000, 'socket'],
      ['setActive', 'm2', 60_000, 'socket'],
      ['pause', 600_000],
      ['pause', null],
      ['reinit', 'm3'],
      ['remove', 'm3'],
    ]);
  });

  test('a bad body is refused with every path and what would be right, and nothing is filed', async () => {
    const { agent, send } = testApp();
    const body = { hostIp: '10.0.0', nodeName: '-x', adresses: [] };
    expect(await reply(await send('POST', '/api/v1/join', body))).toEqual({
      status: 400,
      body: {
        message: [
          "the body: hostIp: must be an IP address, like 10.0.0.11; it is '10.0.0'",
          "nodeName: must be 1 to 50 letters, digits, - or _, with a letter or digit at both ends; it is '-x'",
          'addresses: is missing',
          "adresses: unknown key; did you mean 'addresses'?",
        ].join('; '),
        error_code: 'bad_request',
      },
    });
    expect(await reply(await send('POST', '/api/v1/pause', '{"for": '))).toMatchObject({
      status: 400,
      body: { error_code: 'bad_request' },
    });
    expect((await send('POST', '/api/v1/pause', '[]')).status).toBe(400);
    expect(agent.asked).toEqual([]);
  });

  test('a body over a megabyte is 413 and not read', async () => {
    const { agent, send } = testApp();
    const body = JSON.stringify({ options: { x: 'y'.repeat(1024 * 1024) } });
    const answer = await send('POST', '/api/v1/start', body, { 'content-length': String(body.length) });
    expect(await reply(answer)).toMatchObject({ status: 413, body: { error_code: 'too_large' } });
    expect(agent.asked).toEqual([]);
  });

  test('errors of the agent become statuses by code, then by class, with message, code and hint', async () => {
    const { agent, send, log } = testApp();
    const statuses: [AgentError, number][] = [
      [refusal('not_cluster_master'), 400],
      [refusal('removed_from_cluster'), 400],
      [refusal('already_in_cluster'), 409],
      [new AgentError({ class: 'usage', code: 'bad_name', message: 'm' }), 400],
      [new AgentError({ class: 'transient', code: 'consul_away', message: 'm' }), 503],
      [new AgentError({ class: 'fatal', code: 'bug', message: 'm', cause: new Error('inner') }), 500],
    ];
    for (const [thrown, status] of statuses) {
      agent.refusal = thrown;
      expect(await reply(await send('POST', '/api/v1/start'))).toEqual({ status, body: thrown.toJSON() });
    }
    expect(log.messages().filter((line) => !line.startsWith('http: audit'))).toEqual([
      'http: POST /api/v1/start: m: inner',
    ]);
  });

  test('a join token that would live for longer than a day is refused', async () => {
    const { agent, send } = testApp();
    expect(await reply(await send('POST', '/api/v1/tokens', { ttl: '25h' }))).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining('must be at most 24h') },
    });
    expect(agent.asked).toEqual([]);
  });

  test('an unknown path is 404 in JSON', async () => {
    const { get } = testApp();
    for (const path of ['/api/v1/nothing', '/nothing', '/api/v2/cluster']) {
      expect(await reply(await get(path))).toMatchObject({ status: 404, body: { error_code: 'not_found' } });
    }
  });

  test('logs are filtered by component, limit and cursor', async () => {
    const { agent, get } = testApp();
    agent.lines = [1, 2, 3].map((n) =>
      logLine({ cursor: String(n), component: n === 2 ? 'agent' : 'lease' }),
    );
    const cursors = async (query: string) =>
      ((await (await get(`/api/v1/logs${query}`)).json()) as { items: { cursor: string }[] }).items.map(
        ({ cursor }) => cursor,
      );
    expect(await cursors('')).toEqual(['1', '2', '3']);
    expect(await cursors('?component=lease&limit=1')).toEqual(['3']);
    expect(await cursors('?since=1')).toEqual(['2', '3']);
    expect((await get('/api/v1/logs?limit=few')).status).toBe(400);
  });
});

describe('/api/v1/peer', () => {
  test('LSNs beyond 53 bits go over the wire as decimal strings', async () => {
    const { agent, send } = testApp(ON_TCP);
    const headers = { authorization: `Bearer ${SECRET}` };
    const vote = await send('POST', '/api/v1/peer/vote', { index: 7, candidate: 'm1' }, headers);
    expect(await vote.json()).toEqual({
      kind: 'vote',
      vote: {
        node: 'm2',
        clone: 'aaaa0002',
        timeline: 2,
        lsn: '18446744073709551617',
        history: [{ tli: 1, lsn: '67108864' }],
      },
    });
    const state = await send('GET', '/api/v1/peer/state', undefined, headers);
    expect(await state.json()).toEqual({ replayed: '1152921504606846977', timeline: 2, streaming: true });
    await send('POST', '/api/v1/peer/enrol', { node: 'm3' }, headers);
    await send('POST', '/api/v1/peer/reclone', {}, headers);
    expect(agent.asked).toEqual([['vote', { index: 7, candidate: 'm1' }], ['enrol', 'm3'], ['wantReclone']]);
  });
});
