import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAgent } from '../../agent/http/client_api.ts';
import { events, parseEvent } from '../../agent/http/client_events.ts';
import { createHttpServer, type HttpServer } from '../../agent/http/server.ts';
import { createPeers } from '../../agent/peers/peers.ts';
import { FakeAgent, logLine, NODES } from '../fakes/agent_api.ts';

const HOST = '127.0.60.1';
const PORT = 18_760;

let dir: string;
let socketPath: string;
let agent: FakeAgent;
let server: HttpServer;
const opened: HttpServer[] = [];

function newServer(): HttpServer {
  const made = createHttpServer({
    api: agent,
    manager: { edition: 'premium', version: '4.6' },
    secret: () => 's3cret',
    open: true,
  });
  opened.push(made);
  return made;
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'agent-http-'));
  socketPath = join(dir, 'agent.sock');
  agent = new FakeAgent();
  server = newServer();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
  rmSync(dir, { recursive: true });
});

const codeOf = async (promise: Promise<unknown>) =>
  promise.then(
    () => 'fulfilled',
    (error: { code: string }) => error.code,
  );

describe('the Unix socket', () => {
  test('is 0660 and answers the client', async () => {
    await server.listenSocket(socketPath, process.getgid?.());
    expect(statSync(socketPath).mode & 0o777).toBe(0o660);
    const client = connectAgent({ target: { socketPath } });
    expect(await client.nodes()).toEqual(NODES);
    await client.pause(1500);
    expect(agent.asked).toEqual([['pause', 1500]]);
  });

  test('a stale one is replaced, one that is listened on is not, and a file is left alone', async () => {
    const dead = Bun.spawn([
      process.execPath,
      '-e',
      `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    await dead.exited;
    expect(statSync(socketPath).isSocket()).toBe(true);
    await server.listenSocket(socketPath);
    expect(await codeOf(newServer().listenSocket(socketPath))).toBe('address_in_use');
    expect(await connectAgent({ target: { socketPath } }).nodes()).toEqual(NODES);
    const file = join(dir, 'file');
    writeFileSync(file, 'kept');
    expect(await codeOf(newServer().listenSocket(file))).toBe('cannot_listen');
    expect(await Bun.file(file).text()).toBe('kept');
  });

  test('closing ends open streams and the socket', async () => {
    await server.listenSocket(socketPath);
    const client = connectAgent({ target: { socketPath } });
    const stream = events(client.http, '/api/v1/logs?follow=1', new AbortController().signal);
    expect((await stream.next()).value?.event).toBe('log');
    await server.close();
    expect(await codeOf(stream.next())).toBe('stream_ended');
    expect(await codeOf(client.status())).toBe('agent_not_running');
  });
});

describe('TCP', () => {
  test('the same address twice is one listener; a taken or foreign one is an error that says so', async () => {
    await server.listenTcp(HOST, PORT);
    await server.listenTcp(HOST, PORT);
    expect(await codeOf(newServer().listenTcp(HOST, PORT))).toBe('address_in_use');
    expect(await codeOf(newServer().listenTcp('192.0.2.1', PORT))).toBe('cannot_listen');
    const stranger = connectAgent({ target: { host: HOST, port: PORT } });
    expect(await stranger.nodes()).toEqual(NODES);
    expect(await codeOf(stranger.resume())).toBe('unauthorized');
    await connectAgent({ target: { host: HOST, port: PORT }, secret: 's3cret' }).resume();
    expect(agent.asked).toEqual([['resume']]);
  });

  test('peers ask each other, positions of 64 bits unharmed', async () => {
    await server.listenTcp(HOST, PORT);
    const address = (node: string) => (node === 'gone' ? undefined : { host: HOST, port: PORT });
    const peers = createPeers(address, () => 's3cret');
    const replies = await peers.votes(['m2', 'gone'], { index: 7, candidate: 'm1' }, 1000);
    expect(replies.gone).toEqual({ kind: 'unknown' });
    expect(replies.m2).toMatchObject({
      kind: 'vote',
      vote: { lsn: 0x1_0000_0000_0000_0001n, history: [{ tli: 1, lsn: 0x4000000n }] },
    });
    expect((await peers.state('m2', 1000))?.replayed).toBe(2n ** 60n + 1n);
    const wrong = createPeers(address, () => 'guess');
    expect(await wrong.vote('m2', { index: 7, candidate: 'm1' }, 1000)).toEqual({ kind: 'unknown' });
  });
});

describe('the client', () => {
  test('gives up after its deadline on an agent that does not answer', async () => {
    const mute = createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(socketPath, resolve));
    const { http } = connectAgent({ target: { socketPath } });
    expect(await codeOf(http.call({ method: 'GET', path: '/', ms: 20 }))).toBe('no_answer');
    mute.close();
  });

  test('tells a socket that it may not use, and something that is no agent', async () => {
    const other = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'));
    await new Promise<void>((resolve) => other.listen(socketPath, resolve));
    expect(await codeOf(connectAgent({ target: { socketPath } }).status())).toBe('bad_answer');
    other.close();
    if (process.getuid?.() !== 0) {
      chmodSync(dir, 0o000);
      expect(await codeOf(connectAgent({ target: { socketPath } }).status())).toBe('socket_forbidden');
      chmodSync(dir, 0o700);
    }
  });
});

describe('event streams', () => {
  test('a log stream gives the past, then each new line once, of the component asked for', async () => {
    await server.listenSocket(socketPath);
    agent.lines = [
      logLine({ cursor: '1' }),
      logLine({ cursor: '2' }),
      logLine({ cursor: '3', component: 'agent' }),
    ];
    const abort = new AbortController();
    const { http } = connectAgent({ target: { socketPath } });
    const stream = events(http, '/api/v1/logs?follow=1&component=lease&limit=1', abort.signal);
    expect((await stream.next()).value?.id).toBe('2');
    agent.log(logLine({ cursor: '4', component: 'agent' }));
    agent.log(logLine({ cursor: '5', message: 'two\nlines' }));
    const { value } = await stream.next();
    expect([value?.id, JSON.parse(value?.data ?? '').message]).toEqual(['5', 'two\nlines']);
    abort.abort();
    expect((await stream.next()).done).toBe(true);
    const deadline = performance.now() + 2000;
    while (agent.listeners > 0 && performance.now() < deadline) await Bun.sleep(5);
    expect(agent.listeners).toBe(0);
  });

  test('the event stream tells health at first and when it changes, and log lines', async () => {
    await server.listenSocket(socketPath);
    const abort = new AbortController();
    const { http } = connectAgent({ target: { socketPath } });
    const stream = events(http, '/api/v1/events', abort.signal);
    expect(JSON.parse((await stream.next()).value?.data ?? '')).toMatchObject({ active: true });
    agent.log(logLine());
    expect((await stream.next()).value?.event).toBe('log');
    agent.healthNow = { ...agent.healthNow, active: false, reason: 'fenced' };
    expect(JSON.parse((await stream.next()).value?.data ?? '')).toMatchObject({ reason: 'fenced' });
    abort.abort();
    await stream.next();
  });

  test('comments carry no event; several data lines are one text', () => {
    expect(parseEvent(': still here')).toBeUndefined();
    expect(parseEvent('event: log\nid: 7\ndata: a\ndata: b')).toEqual({
      event: 'log',
      id: '7',
      data: 'a\nb',
    });
  });
});
