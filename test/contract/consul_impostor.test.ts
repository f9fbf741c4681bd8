/**
 * The node's own Consul is down, and somebody else has its ports: nothing of the node's tokens ever reaches
 * him.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  consulUrls,
  folderConfig,
  makeConfig,
  memberConsulUrl,
  type NodeConfig,
  requireNode,
} from '../../agent/config/index.ts';
import { type ConsulClient, createConsulClient } from '../../agent/consul/client.ts';
import { foundSecurity } from '../../agent/membership/found_security.ts';
import { consulAccess } from '../../agent/node/access.ts';
import { createCa } from '../../agent/platform/tls/ca.ts';
import { type ConsulServer, createConsulServer } from '../../agent/roles/consul/server.ts';
import { childDriver } from '../../agent/roles/services/child.ts';
import type { ServiceDriver } from '../../agent/roles/services/driver.ts';
import { liveSecurity } from '../../agent/security/live.ts';
import { type Security, securityFiles } from '../../agent/security/store.ts';
import { nodeTls } from '../fixtures/certificates.ts';
import { type Impostor, impostor, type Shown } from '../fixtures/impostor.ts';

const IP = '127.0.47.1';
const dir = mkdtempSync(join(tmpdir(), 'consul-impostor-'));
let config: NodeConfig;
let driver: ServiceDriver;
let server: ConsulServer;
let security: Security;
let client: ConsulClient;

beforeAll(async () => {
  config = requireNode(
    makeConfig(folderConfig(dir, { node_name: 'n1', host_ip: IP }, { api: { tls: true } })),
  );
  const made = await foundSecurity(config);
  if (made === undefined) throw new Error('no certificates were made');
  security = made;
  const live = liveSecurity(config);
  driver = childDriver({ runDir: join(dir, 'run'), logDir: join(dir, 'log') });
  server = createConsulServer(config, driver, live.current);
  client = createConsulClient({
    servers: consulUrls(config),
    deadlineMs: 5000,
    ...consulAccess({ config, security: live }),
  });
  await server.start({ bootstrap: true, join: [] });
  await server.waitLeader(60_000);
}, 120_000);
afterAll(async () => {
  await server?.stop();
  await driver?.close();
  rmSync(dir, { recursive: true, force: true });
}, 30_000);

const ownKey = () => `${config.consul.prefix}/state/n1`;

/** What an agent asks its own server, with either of its tokens. */
async function askAll(): Promise<string[]> {
  const admin = server.admin();
  const answers = await Promise.all([
    client.kv.get(ownKey()),
    client.kv.put(ownKey(), '1'),
    client.catalog.updateTtl('manager-n1:disk', 'passing', 'well'),
    admin.kv.get(ownKey()),
    admin.reload(),
  ]);
  return answers.map(({ kind }) => kind);
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, IP, () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

function expectNoSecret({ heard }: Impostor): void {
  const { management, node } = security.consul.tokens;
  for (const secret of [management, node, security.secrets.peerToken]) expect(heard).not.toContain(secret);
  expect(heard.toLowerCase()).not.toContain('x-consul-token');
}

/** Takes both ports, does `what`, and gives back who was on them. */
async function withImpostors(shown: Shown | undefined, what: () => Promise<void>): Promise<Impostor[]> {
  const { http_port, https_port } = config.consul;
  const both = [await impostor(IP, http_port), await impostor(IP, https_port, shown)];
  try {
    await what();
  } finally {
    for (const one of both) await one.close();
  }
  return both;
}

async function strangers(): Promise<[string, Shown | undefined][]> {
  return [
    ['plain HTTP', undefined],
    ['an authority of his own', await nodeTls(await createCa('other'), 'n1', IP)],
    ["another member's certificate", await nodeTls(security.ca, 'n2', '127.0.47.2')],
  ];
}

test('the server answers to its own agent, and on no port without TLS', async () => {
  expect(await client.kv.put(ownKey(), '1')).toEqual({ kind: 'ok' });
  expect((await client.kv.get(ownKey())).kind).toBe('ok');
  await server.reload();
  expect([await isOpen(config.consul.http_port), await isOpen(config.consul.https_port)]).toEqual([
    false,
    true,
  ]);
}, 60_000);

test('whoever has its ports while it is down is asked nothing, whatever he shows', async () => {
  await server.stop();
  for (const [who, shown] of await strangers()) {
    const [plain, secured] = await withImpostors(shown, async () => {
      expect([who, ...(await askAll())]).toEqual([who, ...Array(5).fill('unknown')]);
    });
    if (plain === undefined || secured === undefined) throw new Error('nobody listened');
    expect([who, plain.connections, secured.connections > 0]).toEqual([who, 0, true]);
    expectNoSecret(secured);
    // Not even which key was asked for.
    if (shown !== undefined) expect([who, secured.heard]).toEqual([who, '']);
  }
}, 120_000);

test('the listener of this test does hear a token when he has the very certificate', async () => {
  const at = securityFiles(config).pair('consul');
  const shown = { cert: readFileSync(at.certificate, 'utf8'), key: readFileSync(at.key, 'utf8') };
  const [, secured] = await withImpostors(shown, async () => {
    await client.kv.get(ownKey());
  });
  expect(secured?.heard).toContain(security.consul.tokens.node);
}, 30_000);

test('on Deno it is the same', async () => {
  const root = dirname(dirname(import.meta.dirname));
  const url = memberConsulUrl(config, IP);
  const asks = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const program = join(root, 'test/consul/asks.ts');
      const args = ['run', '-A', '--node-modules-dir=manual', program];
      const { ca } = securityFiles(config);
      const child = spawn(join(root, 'node_modules/.bin/deno'), [...args, url, ca, 'hush-hush'], {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
        timeout: 60_000,
      });
      let out = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
      });
      child.once('error', reject);
      child.once('close', () => resolve(out.trim()));
    });
  for (const [who, shown] of await strangers()) {
    const [, secured] = await withImpostors(shown, async () => {
      expect([who, await asks()]).toEqual([who, 'unknown,unknown']);
    });
    expect([who, secured?.heard.includes('hush-hush')]).toEqual([who, false]);
  }
  const [, secured] = await withImpostors(await nodeTls(security.ca, 'n1', IP), async () => {
    await asks();
  });
  expect(secured?.heard).toContain('hush-hush');
}, 240_000);

test('its own server is asked again once it is back', async () => {
  await server.start({ bootstrap: false, join: [] });
  await server.waitLeader(60_000);
  expect((await client.kv.get(ownKey())).kind).toBe('ok');
}, 120_000);
