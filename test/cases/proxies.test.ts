/**
 * Input: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and their lower-case names in the environment of the agent;
 *        PGSERVICE and the like.
 * Right: no call to members, Consul or Syncthing goes by the proxy; the manager's own services are given the
 *        variables.
 * Source: reports on agents on machines behind a company's proxy, whose tokens were in the proxy's log.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { KEPT_OUT } from '../../agent/platform/environment.ts';
import { fingerprintOf } from '../../agent/platform/tls/read.ts';
import { nodeProcesses } from '../../cli/dev/processes.ts';
import { eventually, TestCluster } from '../dev/harness.ts';
import { createCa, nodeTls } from '../fixtures/certificates.ts';

const HOST = '127.0.60.44';
const root = dirname(dirname(import.meta.dirname));
const program = join(root, 'test/fixtures/proxied_calls.ts');
const CALLS = [
  'consul get',
  'consul put',
  'consul tls get',
  'consul tls put',
  'peer vote',
  'peer tls vote',
  'join admit',
  'join pinned ca',
  'syncthing get',
  'command line',
];

let dir = '';
let variables: Record<string, string> = {};
const servers: Server[] = [];
/** What the proxy was asked for, and what arrived where it was meant for. */
const proxied: string[] = [];
const arrived: string[] = [];

async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, HOST, done));
  return `${HOST}:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'agent-proxies-'));
  const proxy = createHttp((request, reply) => {
    proxied.push(`${request.method} ${request.url}`);
    reply.end('{}');
  });
  proxy.on('connect', (request, socket) => {
    proxied.push(`CONNECT ${request.url}`);
    socket.end();
  });
  const url = `http://${await listening(proxy)}`;
  const names = ['http_proxy', 'https_proxy', 'all_proxy'];
  variables = Object.fromEntries(names.flatMap((name) => [name, name.toUpperCase()]).map((n) => [n, url]));
  const ca = await createCa('one');
  const tls = await nodeTls(ca, 'n2', HOST);
  const answer: RequestListener = (request, reply) => {
    arrived.push(request.url ?? '');
    reply.end(request.url?.endsWith('/peer/ca') === true ? JSON.stringify({ certificate: tls.ca }) : '{}');
  };
  const plain = await listening(createHttp(answer));
  const secured = await listening(createHttps({ key: tls.key, cert: tls.cert }, answer));
  const given = { plain, secured, ...tls, fingerprint: fingerprintOf(tls.ca) };
  writeFileSync(join(dir, 'given.json'), JSON.stringify(given));
});

afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
  rmSync(dir, { recursive: true, force: true });
});

function output(command: string, args: string[], extra: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...variables, ...extra };
    const child = spawn(command, args, {
      cwd: root,
      env,
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.stderr.on('data', (chunk) => (text += chunk));
    child.once('error', reject);
    child.once('close', () => resolve(text));
  });
}

const DENO = [join(root, 'node_modules/.bin/deno'), 'run', '-A', '--node-modules-dir=manual'];

async function compiled(): Promise<string[]> {
  const outfile = join(dir, 'calls');
  await Bun.build({ entrypoints: [program], target: 'bun', format: 'esm', compile: { outfile } });
  return [outfile];
}

const RUNTIMES: [name: string, command: () => Promise<string[]> | string[]][] = [
  ['Bun', () => [process.execPath, program]],
  ['Deno', () => [...DENO, program]],
  ['a compiled executable', compiled],
];

for (const [name, command] of RUNTIMES) {
  test(`under ${name} every call arrives where it is meant for, and the proxy hears of none`, async () => {
    const [file = '', ...args] = await command();
    proxied.length = 0;
    arrived.length = 0;
    const said = await output(file, [...args, join(dir, 'given.json')]);
    expect(said.trim().split('\n')).toEqual(CALLS);
    expect(proxied).toEqual([]);
    // The authority is asked for before the enrolment.
    expect(arrived.length).toBe(CALLS.length + 1);
  }, 120_000);
}

test('the trap is real: a bare fetch goes by the proxy under Bun and under Deno', async () => {
  const { plain } = JSON.parse(readFileSync(join(dir, 'given.json'), 'utf8')) as { plain: string };
  const bare = join(dir, 'bare.ts');
  writeFileSync(bare, `await fetch('http://${plain}/bare').catch(() => {});`);
  proxied.length = 0;
  await output(process.execPath, [bare]);
  await output(DENO[0] ?? '', [...DENO.slice(1), bare]);
  expect(proxied).toEqual([`GET http://${plain}/bare`, `GET http://${plain}/bare`]);
}, 120_000);

test('nothing in the environment turns the check of certificates off', async () => {
  const other = await nodeTls(await createCa('other'), 'n1', HOST);
  const given = JSON.parse(readFileSync(join(dir, 'given.json'), 'utf8')) as Record<string, string>;
  const path = join(dir, 'other.json');
  writeFileSync(path, JSON.stringify({ ...given, ca: other.ca, fingerprint: 'none' }));
  arrived.length = 0;
  const said = await output(process.execPath, [program, path, '5000'], { NODE_TLS_REJECT_UNAUTHORIZED: '0' });
  expect(said.trim().split('\n')).toEqual(CALLS);
  // Of those over TLS, the one alone that looks at the fingerprint of what it was shown.
  expect(arrived.filter((path) => /^\/(v1|api|rest)\//.test(path)).sort()).toEqual(
    [
      '/api/v1/peer/admit',
      '/api/v1/peer/ca',
      '/api/v1/peer/vote',
      '/api/v1/status',
      '/v1/kv/k',
      '/v1/kv/k',
    ].sort(),
  );
}, 120_000);

const environmentOf = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/environ`, 'utf8')
    .split('\0')
    .map((line) => line.split('=')[0] ?? '');

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');

test('a whole cluster: the proxy hears of nothing, Consul is not told of it, the worker is', async () => {
  proxied.length = 0;
  const before = { ...process.env };
  // Each would keep the agent from its database, or a standby from its upstream.
  const libpq = {
    PGSERVICE: 'nowhere',
    PGTARGETSESSIONATTRS: 'primary',
    PGSSL: 'require',
    PGHOST: '192.0.2.1',
  };
  Object.assign(process.env, variables, libpq);
  let t: TestCluster | undefined;
  try {
    t = await TestCluster.up({ nodes: 2, preset: 'fast' });
    const active = await t.settled();
    const [consul = 0] = t.pids(active, 'consul');
    expect(environmentOf(consul).filter((name) => KEPT_OUT.includes(name))).toEqual([]);
    const node = t.node(active);
    const worker = await eventually('a worker', 60_000, () =>
      nodeProcesses(node).find(({ pid }) => commandOf(pid).includes(' dev worker ')),
    );
    expect(environmentOf(worker.pid)).toEqual(expect.arrayContaining(['HTTPS_PROXY', 'PGSERVICE']));
    expect(proxied).toEqual([]);
  } finally {
    await t?.down();
    for (const name of Object.keys({ ...variables, ...libpq }))
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
  }
}, 240_000);
