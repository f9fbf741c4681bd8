/** Three real servers with TLS, encrypted gossip and tokens: who gets in, and who does not. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMembershipKey } from '../../agent/consul/acl.ts';
import { until } from '../../agent/platform/clock.ts';
import { createCa } from '../../agent/platform/tls/ca.ts';
import type { ClientTls } from '../../agent/platform/tls/fetch.ts';
import { issue, type Material, newGossipKey, PREFIX, SecureConsul } from '../fixtures/consul_secure.ts';
import { expectAeadOnly } from '../fixtures/s_client.ts';

const IPS = ['127.0.44.1', '127.0.44.2', '127.0.44.3'] as const;
const [FIRST, SECOND, THIRD] = IPS;
const STRANGER = '127.0.44.4';
const QUICK = { deadlineMs: 500 } as const;
let consul: SecureConsul;
let own: Material;

const tlsOf = ({ certificate, key }: Material, ca = consul.ca.certificate): ClientTls => ({
  ca,
  cert: certificate,
  key,
});

beforeAll(async () => {
  consul = await SecureConsul.start(IPS, mkdtempSync(join(tmpdir(), 'consul-secure-')));
  own = await issue(consul.ca, 'client', [FIRST]);
}, 120_000);
afterAll(() => consul?.stop(), 30_000);

test('another member writes and reads over HTTPS with its certificate and its token', async () => {
  const { kv, catalog } = consul.remote(SECOND, tlsOf(own), consul.token(FIRST));
  expect(await kv.put(`${PREFIX}/next_master`, '{"a":1}', { cas: 0 })).toEqual({ kind: 'ok' });
  expect(await kv.get(`${PREFIX}/next_master`)).toMatchObject({ kind: 'ok', entry: { value: '{"a":1}' } });
  expect(await kv.txn([{ verb: 'set', key: `${PREFIX}/sync`, value: '1' }])).toMatchObject({ kind: 'ok' });
  expect(await catalog.raftConfiguration()).toMatchObject({ kind: 'ok' });
  expect(await catalog.members()).toMatchObject({ kind: 'ok' });
});

test("Consul's HTTPS is 1.2 with AEAD or 1.3, and agrees to nothing older", async () => {
  const dir = mkdtempSync(join(tmpdir(), 'consul-client-'));
  try {
    const pem = (name: string, text: string) => {
      writeFileSync(join(dir, name), text, { mode: 0o600 });
      return join(dir, name);
    };
    const shown = ['-cert', pem('cert.pem', own.certificate), '-key', pem('key.pem', own.key)];
    await expectAeadOnly(`${SECOND}:8501`, shown);
  } finally {
    rmSync(dir, { recursive: true });
  }
}, 120_000);

test('a call without a token is refused, a wrong one too', async () => {
  for (const token of [undefined, '00000000-0000-0000-0000-000000000000']) {
    const local = consul.remote(FIRST, tlsOf(own), token);
    expect(await local.kv.put(`${PREFIX}/next_master`, 'x')).toMatchObject({ cause: { code: 'denied' } });
    expect(await local.catalog.raftConfiguration()).toMatchObject({ cause: { code: 'denied' } });
    const read = await local.kv.get(`${PREFIX}/next_master`);
    expect(read.kind === 'ok').toBe(false);
  }
});

test("a node's token writes its own state and what an active writes; it makes no members, no other node's state, nothing outside", async () => {
  const { kv, catalog } = consul.remote(FIRST, tlsOf(own), consul.token(FIRST));
  expect(await kv.put(`${PREFIX}/state/${consul.name(FIRST)}`, '1')).toEqual({ kind: 'ok' });
  for (const key of ['next_master', 'sync', 'active', 'request', 'history/7'])
    expect(await kv.put(`${PREFIX}/${key}`, '1')).toEqual({ kind: 'ok' });
  const settings = ['gossip', 'config', 'cluster', 'signed'];
  const members = ['nodes/evil', 'joining/evil', 'removed/evil', 'tokens/abc', ...settings];
  const others = [`state/${consul.name(SECOND)}`, 'other', 'nodes', 'configs', ...members];
  for (const key of [...others.map((other) => `${PREFIX}/${other}`), 'elsewhere']) {
    expect(await kv.put(key, '1')).toMatchObject({ kind: 'unknown', cause: { code: 'denied' } });
    expect(await kv.delete(key)).toMatchObject({ kind: 'unknown', cause: { code: 'denied' } });
    const txn = await kv.txn([
      { verb: 'set', key: `${PREFIX}/sync`, value: '2' },
      { verb: 'set', key, value: '1' },
    ]);
    expect(txn).not.toMatchObject({ kind: 'ok' });
  }
  expect(members.every(isMembershipKey)).toBe(true);
  expect(['next_master', 'nodes', 'configs', 'state/x'].some(isMembershipKey)).toBe(false);
  const registered = await catalog.registerService({
    id: 'manager-1',
    name: 'manager',
    address: FIRST,
    tags: ['active'],
    checks: [{ id: 'manager-1:disk', name: 'disk', ttlMs: 5000 }],
  });
  expect(registered).toEqual({ kind: 'ok' });
  expect(await catalog.updateTtl('manager-1:disk', 'passing', 'well')).toEqual({ kind: 'ok' });
  const health = await catalog.serviceHealth('manager');
  expect(health.kind === 'ok' && health.value[0]?.node).toBe(consul.name(FIRST));
  const foreign = await catalog.registerService({
    id: 'x',
    name: 'x',
    address: FIRST,
    tags: [],
    checks: [],
  });
  expect(foreign).toMatchObject({ cause: { code: 'denied' } });
  expect(await catalog.ensureAutopilot({ cleanupDeadServers: true, serverStabilizationMs: 0 })).toMatchObject(
    { cause: { code: 'denied' } },
  );
});

test('a policy of an earlier version, which could make members, is narrowed to what this one needs', async () => {
  const admin = consul.admin();
  const name = `cloudify-node-${consul.name(THIRD)}`;
  const headers = { 'X-Consul-Token': consul.management };
  const tls = tlsOf(own);
  const policies = `https://${FIRST}:8501/v1/acl/policies`;
  const listed = (await (await fetch(policies, { headers, tls })).json()) as { ID: string; Name: string }[];
  const id = listed.find((row) => row.Name === name)?.ID;
  const Rules = `key_prefix "${PREFIX}/" { policy = "write" }`;
  const body = JSON.stringify({ Name: name, Rules });
  const url = `https://${FIRST}:8501/v1/acl/policy/${id}`;
  expect((await fetch(url, { method: 'PUT', headers, body, tls })).status).toBe(200);
  const { kv } = consul.remote(THIRD, tls, consul.token(THIRD));
  const denied = async () => (await kv.put(`${PREFIX}/nodes/evil`, '1')).kind === 'unknown';
  // Each server keeps what it has looked up for a while.
  expect(await until(async () => !(await denied()), { timeout: 60_000 })).toBe(true);
  expect(await admin.acl.setNodePolicy(consul.name(THIRD), PREFIX)).toEqual({ kind: 'ok' });
  expect(await until(denied, { timeout: 60_000 })).toBe(true);
  expect(await kv.put(`${PREFIX}/sync`, '3')).toEqual({ kind: 'ok' });
}, 150_000);

test('the token of a manager that joins writes its own state and nothing that members write, until it is one', async () => {
  const { acl } = consul.admin();
  const secret = 'd0d0d0d0-0000-4000-8000-000000000009';
  expect(await acl.createNodeToken('ghost', PREFIX, secret, { joining: true })).toEqual({ kind: 'ok' });
  const { kv } = consul.remote(FIRST, tlsOf(own), secret);
  const puts = async (key: string) => (await kv.put(`${PREFIX}/${key}`, '1')).kind;
  expect(await until(async () => (await puts('state/ghost')) === 'ok', { timeout: 60_000 })).toBe(true);
  expect((await kv.get(`${PREFIX}/sync`)).kind).toBe('ok');
  for (const key of ['next_master', 'sync', 'active', 'request', 'history/9', 'state/other', 'nodes/ghost'])
    expect(`${key} ${await puts(key)}`).toBe(`${key} unknown`);
  expect(await acl.setNodePolicy('ghost', PREFIX)).toEqual({ kind: 'ok' });
  expect(await until(async () => (await puts('request')) === 'ok', { timeout: 60_000 })).toBe(true);
  expect(await puts('nodes/ghost')).toBe('unknown');
  expect(await acl.revokeNodeToken('ghost')).toEqual({ kind: 'ok' });
}, 150_000);

test('the management token sets autopilot, whose cleaning stays off', async () => {
  const settings = { cleanupDeadServers: false, serverStabilizationMs: 0 };
  expect(await consul.admin().catalog.ensureAutopilot(settings)).toMatchObject({ kind: 'ok' });
});

test('HTTPS refuses no certificate, one of another authority and an expired one, and speaks no plain HTTP', async () => {
  const other = await createCa('other');
  const token = consul.token(FIRST);
  const expired = await issue(consul.ca, 'old', [FIRST], Date.now() - 60_000);
  for (const tls of [
    { ca: consul.ca.certificate },
    tlsOf(await issue(other, 'foreign', [FIRST])),
    tlsOf(expired),
  ])
    expect((await consul.remote(FIRST, tls, token).kv.get(`${PREFIX}/sync`, QUICK)).kind).toBe('unknown');
  expect((await consul.remote(FIRST, tlsOf(own, other.certificate), token).kv.get('x', QUICK)).kind).toBe(
    'unknown',
  );
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(8501, FIRST, () => socket.write('GET /v1/status/leader HTTP/1.0\r\n\r\n'));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.once('close', () => resolve(text));
    socket.once('error', () => resolve(text));
  });
  expect(answer).not.toMatch(/^HTTP\/1\.. 200/);
  expect((await consul.remote(FIRST, tlsOf(own), token).catalog.raftConfiguration()).kind).toBe('ok');
});

test('a server with a certificate of another authority, or with another gossip key, does not get in', async () => {
  const other = await createCa('other');
  const members = async () => {
    const got = await consul.admin().catalog.members();
    return got.kind === 'ok' ? got.value.map((m) => m.address).sort() : [];
  };
  const before = await members();
  const raft = async () => {
    const got = await consul.admin().catalog.raftConfiguration();
    return got.kind === 'ok' ? got.value : [];
  };
  await consul.writeCertificate(STRANGER);
  const deaf = await consul.launch(
    STRANGER,
    { ...consul.security(STRANGER), gossipKey: newGossipKey() },
    false,
  );
  const said = await until(() => /No installed keys could decrypt/.test(deaf.log()), {
    timeout: 15_000,
  });
  await deaf.stop();
  expect(said).toBe(true);
  expect(await members()).toEqual(before);

  await consul.writeCertificate(STRANGER, other);
  const foreign = await consul.launch(STRANGER, consul.security(STRANGER), false);
  // Gossip takes it, and the leader writes it down: it has that key. But nobody can talk to it, so it never
  // votes or learns.
  await until(async () => (await members()).includes(STRANGER), { timeout: 60_000 });
  const voted = await until(
    async () => (await raft()).some((s) => s.address === `${STRANGER}:8300` && s.voter),
    { timeout: 8_000, every: 250 },
  );
  expect(voted).not.toBe(true);
  expect(foreign.log()).toMatch(
    /certificate signed by unknown authority|tls: bad certificate|No cluster leader/,
  );
  await foreign.kill();
  const listed = (await raft()).find((s) => s.address === `${STRANGER}:8300`);
  if (listed !== undefined) await consul.admin().catalog.removeRaftPeer(listed.id);
  await consul.admin().catalog.forceLeave(consul.name(STRANGER), { prune: true });
}, 60_000);

test('new certificates are used after a reload, and the servers go on talking', async () => {
  const third = consul.servers.find((server) => server.ip === THIRD);
  const before = await consul.remote(THIRD, tlsOf(own), consul.token(FIRST)).catalog.self();
  expect(before.kind).toBe('ok');
  const renewed = await consul.writeCertificate(THIRD);
  expect(await consul.admin(third).reload()).toEqual({ kind: 'ok' });
  const shown = async () => {
    const shownBy = Bun.spawn(['openssl', 's_client', '-connect', `${THIRD}:8501`, '-showcerts'], {
      stdin: new Blob(['']),
      stdout: 'pipe',
      stderr: 'ignore',
    });
    return await new Response(shownBy.stdout).text();
  };
  const serial = renewed.certificate.split('\n')[1] ?? 'none';
  expect(await until(async () => (await shown()).includes(serial), { timeout: 10_000 })).toBe(true);
  expect(await consul.remote(THIRD, tlsOf(own), consul.token(FIRST)).kv.put(`${PREFIX}/sync`, '2')).toEqual({
    kind: 'ok',
  });
}, 30_000);

test('the gossip key is rotated while all run; who was away gets in with the new one only', async () => {
  const away = consul.servers.find((server) => server.ip === THIRD);
  await away?.stop();
  const old = consul.gossipKey;
  consul.gossipKey = newGossipKey();
  const { keyring } = consul.admin();
  const rotated = await until(async () => (await keyring.rotate(consul.gossipKey)).kind === 'ok', {
    timeout: 40_000,
    every: 250,
  });
  expect(rotated).toBe(true);
  const listed = await keyring.list();
  expect(listed.kind === 'ok' && Object.keys(listed.keys)).toEqual([consul.gossipKey]);

  const status = async () => {
    const got = await consul.admin().catalog.members();
    return got.kind === 'ok' ? got.value.find((m) => m.address === THIRD)?.status : undefined;
  };
  const stale = await consul.launch(THIRD, { ...consul.security(THIRD), gossipKey: old }, false);
  await until(() => /No installed keys could decrypt/.test(stale.log()), { timeout: 15_000 });
  expect(await status()).not.toBe('alive');
  await stale.stop();
  const back = await consul.launch(THIRD, consul.security(THIRD), false);
  consul.servers[2] = back;
  expect(await until(async () => (await status()) === 'alive', { timeout: 20_000 })).toBe(true);
  expect(readFileSync(join(consul.security(THIRD).tls.ca), 'utf8')).toBe(consul.ca.certificate);
}, 90_000);

test("a removed node's token is refused at once, and its server does not come back", async () => {
  const token = consul.token(THIRD);
  const removed = () => consul.remote(FIRST, tlsOf(own), token).kv.get(`${PREFIX}/sync`);
  expect((await removed()).kind).toBe('ok');
  const { acl, catalog, keyring } = consul.admin();
  const raft = await catalog.raftConfiguration();
  const id = raft.kind === 'ok' ? raft.value.find((s) => s.address === `${THIRD}:8300`)?.id : undefined;
  expect(await acl.revokeNodeToken(consul.name(THIRD))).toEqual({ kind: 'ok' });
  expect(await acl.revokeNodeToken(consul.name(THIRD))).toEqual({ kind: 'ok' });
  expect(await until(async () => (await removed()).kind === 'unknown', { timeout: 60_000 })).toBe(true);
  expect(await consul.remote(FIRST, tlsOf(own), token).kv.put(`${PREFIX}/sync`, 'x')).toMatchObject({
    cause: { code: 'denied' },
  });
  expect(await catalog.removeRaftPeer(id ?? '')).toEqual({ kind: 'ok' });
  await consul.servers[2]?.kill();
  await until(
    async () => {
      await catalog.forceLeave(consul.name(THIRD), { prune: true });
      const got = await catalog.members();
      return got.kind === 'ok' && !got.value.some((m) => m.address === THIRD);
    },
    { timeout: 30_000, every: 500 },
  );
  consul.gossipKey = newGossipKey();
  const done = await until(async () => (await keyring.rotate(consul.gossipKey)).kind === 'ok', {
    timeout: 20_000,
    every: 250,
  });
  expect(done).toBe(true);
  expect(await consul.admin().catalog.raftConfiguration()).toMatchObject({ kind: 'ok' });
}, 90_000);
