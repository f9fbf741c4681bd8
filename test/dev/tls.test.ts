/**
 * Three managers with TLS, tokens and ACLs, as on machines of their own: who comes in, who is kept out, and
 * what renewal costs.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, type NodeConfig } from '../../agent/config/index.ts';
import { createConsulClient } from '../../agent/consul/client.ts';
import type { NodeRecord } from '../../agent/core/records.ts';
import { reservationOf } from '../../agent/membership/admit.ts';
import { admitRequestOf } from '../../agent/membership/join_calls.ts';
import { createPeerCalls } from '../../agent/peers/joining_calls.ts';
import { createPeers } from '../../agent/peers/peers.ts';
import { fingerprintOf } from '../../agent/platform/tls/read.ts';
import { prepareJoin } from '../../agent/security/admission.ts';
import { issueOwn, namesOf, newCommonName, signNode } from '../../agent/security/certificates.ts';
import { signedRecords } from '../../agent/security/signed_records.ts';
import {
  loadSecurity,
  type Pair,
  SERVICES,
  type Security,
  type ServiceName,
  securityStore,
} from '../../agent/security/store.ts';
import { joinTokens } from '../../agent/security/tokens.ts';
import { startAgent } from '../../cli/dev/agents.ts';
import { agentOn, prepare } from '../../cli/dev/cluster.ts';
import { CLIENT, PORTS } from '../../cli/dev/layout.ts';
import { findBinDir } from '../fixtures/postgres.ts';
import { LEDGER_TABLE } from '../ledger/ledger.ts';
import { freeAddress } from './addresses.ts';
import { eventually, TestCluster } from './harness.ts';

let t: TestCluster;
const TLS = { api: { tls: true } };

const agent = (name: string, ...args: string[]) => agentOn(t.cluster, t.node(name), args);
const host = (name: string): string => t.node(name).address;

async function token(): Promise<string> {
  const { stdout, code } = await agent('n1', 'cluster', 'token', 'create', '--ttl', '10min');
  expect(code).toBe(0);
  return stdout.trim();
}
const join_ = (name: string, text: string) => agent(name, 'cluster', 'join', '--token', text, host('n1'));

function securityOf(name: string): Security {
  const found = loadSecurity(loadConfig(t.node(name).config).config);
  if (found === undefined) throw new Error(`${name} has no certificates`);
  return found;
}

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'agent-test-'));
  t = new TestCluster(
    await prepare({
      dir,
      nodes: 4,
      first: await freeAddress(),
      runtime: 'bun',
      preset: 'fast',
      options: TLS,
    }),
  );
  for (const node of t.nodes) await startAgent(node, t.cluster.settings.program, t.cluster.user);
  const started = await agent('n1', 'cluster', 'start');
  if (started.code !== 0) throw new Error(`${started.stderr}\n${t.logs()}`);
}, 120_000);
afterAll(() => t?.down(), 60_000);

test('a manager joins with a token once: none, an altered or a used one is refused and leaves nothing behind', async () => {
  const good = await token();
  const altered = `${good.slice(0, 12)}${good[12] === 'A' ? 'B' : 'A'}${good.slice(13)}`;
  const foreign = `${good.slice(0, -4)}AAAA`;
  for (const [text, said] of [
    [altered, 'altered or revoked'],
    [foreign, 'does not belong to the cluster'],
    [good.slice(0, 40), 'cut off or altered'],
  ] as const) {
    const refused = await join_('n4', text);
    expect([refused.code, refused.stderr.includes(said)]).toEqual([1, true]);
  }
  const without = await agent('n4', 'cluster', 'join', host('n1'));
  expect(without.stderr).toContain('a join token is needed');

  const joined = await join_('n2', good);
  if (joined.code !== 0) throw new Error(`${joined.stderr}\n${t.logs()}`);
  const replayed = await join_('n4', good);
  expect(replayed.code).toBe(1);
  expect(replayed.stderr).toContain('was used already, by n2');
  expect(readdirSync(t.node('n4').dir)).not.toContain('pgdata');
}, 120_000);

test('others join, and every connection between the databases is by certificate', async () => {
  for (const name of ['n3', 'n4']) {
    const joined = await join_(name, await token());
    if (joined.code !== 0) throw new Error(`${joined.stderr}\n${t.logs()}`);
  }
  expect(await t.settled(60_000)).toBe('n1');
  // A change of the list of voters ends all walsenders for a moment.
  await eventually('three standbys by certificate', 10_000, async () => {
    const seen = await t.sql(
      'n1',
      'select count(*), bool_and(ssl), count(distinct client_dn) from pg_stat_replication join pg_stat_ssl using (pid)',
    );
    return seen === '3|t|3';
  });
  await t.clientSql(`${LEDGER_TABLE}; GRANT ALL ON ledger TO ${CLIENT.user}`);
}, 120_000);

test('certificates are renewed on every node without a role change, a restart or a lost write', async () => {
  const ledger = t.ledger();
  try {
    await ledger.acknowledgedAfter(await ledger.mark(), 10_000);
    const since = await ledger.mark();
    const servers = t.nodes.map(({ name }) => t.postmasterPid(name));
    const consuls = t.nodes.map(({ name }) => t.pids(name, 'consul'));
    const before = securityOf('n1').certificate;
    for (const { name } of t.nodes) {
      const renewed = await agent(name, 'cluster', 'certificates', '--renew');
      expect([renewed.code, renewed.stderr]).toEqual([0, '']);
    }
    const after = securityOf('n1').certificate;
    expect([after.name === before.name, after.fingerprint === before.fingerprint]).toEqual([true, false]);
    await ledger.acknowledgedAfter(await ledger.mark(), 10_000);
    expect(await t.settled(30_000)).toBe('n1');
    expect(t.nodes.map(({ name }) => t.postmasterPid(name))).toEqual(servers);
    expect(t.nodes.map(({ name }) => t.pids(name, 'consul'))).toEqual(consuls);
    expect((await t.status())?.epoch).toBe(1);
    console.log(`downtime: ${((await ledger.downtime(since)).ms).toFixed(0)} ms`);
    // Connections that were open keep what they began with: new ones show that the new certificates fit
    // together.
    await t.sql('n1', 'select pg_terminate_backend(pid) from pg_stat_replication');
    await eventually(
      'the standbys are back',
      20_000,
      async () => (await t.sql('n1', 'select count(*) from pg_stat_replication')) === '3',
    );
    // Each node has told it in its own record, which it may write with the management token alone.
    const told = createConsulClient({
      servers: [`https://${host('n1')}:8501`],
      tls: () => securityOf('n1').tls,
      token: securityOf('n1').secrets.consulToken,
    });
    for (const { name } of t.nodes)
      await eventually(`the record of ${name} has its new certificate and its settings`, 60_000, async () => {
        const read = await told.kv.get(`cloudify/cluster/nodes/${name}`);
        const record = read.kind === 'ok' ? JSON.parse(read.entry.value) : {};
        return (
          record.certificate?.fingerprint === securityOf(name).certificate.fingerprint &&
          Array.isArray(record.settings?.ports)
        );
      });
    await ledger.acknowledgedAfter(await ledger.mark(), 10_000);
    await ledger.stopWriting();
    expect(await ledger.balance('n1')).toMatchObject({ lost: [], phantoms: [] });
    expect(await ledger.overlaps()).toEqual([]);
  } finally {
    await ledger.close();
  }
}, 300_000);

const PREFIX = 'cloudify/cluster';
/** Consul with the management token: all that a thief of it can write. */
const managing = (name: string) => {
  const { tls, secrets } = securityOf(name);
  const servers = [`https://${host(name)}:8501`];
  return createConsulClient({ servers, tls: () => tls, token: secrets.managementToken }).kv;
};
/** Signs as the members do: with the authority's key, for this cluster. */
async function signer(name: string) {
  const read = await managing(name).get(`${PREFIX}/cluster`);
  if (read.kind !== 'ok') throw new Error('no cluster');
  return signedRecords({
    clusterId: JSON.parse(read.entry.value).id,
    security: { current: () => securityOf(name) },
    store: { load: (clusterId) => ({ clusterId, demanded: true, members: {} }), save: () => {} },
    now: () => Date.now(),
    failed: () => {},
  });
}

test('who writes a member, a reservation and a join token into Consul by hand, with the management token, gets nothing', async () => {
  const active = await t.activeName();
  const kv = managing(active);
  await eventually(
    'signatures are demanded',
    60_000,
    async () => (await kv.get(`${PREFIX}/signed`)).kind === 'ok',
  );
  const { config } = loadConfig(t.node(active).config);
  const evil = { ...config, node_name: 'evil', host_ip: await freeAddress() } as NodeConfig;
  const secrets = await prepareJoin(evil, await token());
  const ca = securityOf(active).ca;
  // A certificate of the authority for itself: this thief got one somewhere, and lacks but the key.
  const membership = newCommonName('evil');
  const certificates = await signNode(ca, secrets.request.requests, namesOf(evil), membership);
  const { proof } = secrets.request;
  const certificate = { name: membership, fingerprint: 'ab'.repeat(32), services: true };
  const { node } = reservationOf(admitRequestOf(evil), { certificate, proof });
  const put = async (key: string, value: object) =>
    expect((await kv.put(`${PREFIX}/${key}`, JSON.stringify(value))).kind).toBe('ok');
  await put('nodes/evil', node);
  await put('joining/evil', { schema: 1, at: new Date().toISOString(), node });
  const made = await joinTokens({ kv, prefix: `${PREFIX}/`, now: () => Date.now() }).create(
    600_000,
    'eve',
    fingerprintOf(ca.certificate),
  );
  const tls = { ca: ca.certificate, cert: certificates.agent, key: secrets.keys.agent };
  const self = { node: 'evil', token: secrets.peerToken, tls };
  const { fingerprint } = secrets;
  const calls = createPeerCalls(PORTS.api, { fingerprint, self: () => self });
  const peers = createPeers(
    (name) => ({ host: host(name), port: PORTS.api }),
    () => 'unused',
    () => self,
  );
  await eventually('each node names it', 30_000, async () => {
    const seen = await Promise.all(
      t.nodes.map(async ({ name }) => JSON.parse((await agent(name, 'cluster', 'status', '--json')).stdout)),
    );
    return seen.every(({ unreadable }) => unreadable?.['nodes/evil'] && unreadable?.['joining/evil']);
  });
  const pair = { certificate: certificates.postgres, key: secrets.keys.postgres };
  for (const { name } of t.nodes) {
    expect([await peers.state(name, 2000), await peers.lags(name, 2000)]).toEqual([null, null]);
    expect(knock(pair, name)).toContain(REFUSED);
  }
  for (const call of [calls.keep, calls.enrol])
    expect(await call(host(active), '', 'evil').catch(({ code }) => code)).toBe('not_admitted');
  const asked = await prepareJoin({ ...evil, node_name: 'worse' }, made.token);
  const request = { ...admitRequestOf({ ...evil, node_name: 'worse' }), security: asked.request };
  expect(await calls.admit(host(active), request).catch(({ code }) => code)).toBe('token_invalid');
  const tokens = await agent(active, 'cluster', 'token', 'list');
  expect(tokens.stdout).toMatch(new RegExp(`${made.row.id} +unsigned`));

  // A member whose record was written over stays one; it writes it anew itself.
  const standby = t.nodes.map(({ name }) => name).find((name) => name !== active) as string;
  const held = await kv.get(`${PREFIX}/nodes/${standby}`);
  const before = held.kind === 'ok' ? JSON.parse(held.entry.value) : {};
  await put(`nodes/${standby}`, { ...before, hostIp: evil.host_ip, proof });
  await eventually(`${standby} has put its record right`, 60_000, async () => {
    const now = await kv.get(`${PREFIX}/nodes/${standby}`);
    const record = now.kind === 'ok' ? JSON.parse(now.entry.value) : {};
    return (
      record.hostIp === before.hostIp &&
      record.proof === before.proof &&
      record.signed?.issued > before.signed.issued
    );
  });
  for (const key of ['nodes/evil', 'joining/evil', `tokens/${made.row.id}`])
    expect((await kv.delete(`${PREFIX}/${key}`)).kind).toBe('ok');
  expect(await t.settled(60_000)).toBe(active);
  await eventually('nothing is unreadable', 30_000, async () => (await t.status())?.unreadable === undefined);
}, 240_000);

/** What the replication role is told with this key; '' is a success. */
function knock({ certificate, key }: Pair, on = 'n1'): string {
  const at = join(t.node(on).dir, 'knock');
  for (const [file, text] of [
    ['ca', securityOf(on).caPem],
    ['cert', certificate],
    ['key', key],
  ] as const)
    writeFileSync(`${at}.${file}`, text, { mode: 0o600 });
  const to = `host=${on} hostaddr=${host(on)} port=${PORTS.postgres} user=cloudify_replication replication=1`;
  const tls = `sslmode=verify-full sslrootcert=${at}.ca sslcert=${at}.cert sslkey=${at}.key`;
  const command = ['-X', '-w', '-A', '-t', '-c', 'IDENTIFY_SYSTEM', `${to} ${tls}`];
  return spawnSync(join(findBinDir(), 'psql'), command, { encoding: 'utf8' }).stderr;
}
const pairOf = (name: string, service: ServiceName): Pair => {
  const pair = securityStore(loadConfig(t.node(name).config).config).pair(service);
  if (pair === undefined) throw new Error(`${name} has no certificate for ${service}`);
  return pair;
};
const REFUSED = 'certificate authentication failed';

test("of a node's keys PostgreSQL's alone opens PostgreSQL", () => {
  for (const name of ['n1', 'n2']) {
    for (const service of ['agent', 'consul'] as const)
      expect(knock(pairOf(name, service))).toContain(REFUSED);
    expect(knock(pairOf(name, 'postgres'))).toBe('');
  }
}, 60_000);

test('a node of before, whose certificates share one name, gets one for each by itself, and its old name ends', async () => {
  const name = 'n4';
  const config = loadConfig(t.node(name).config).config as NodeConfig;
  const store = securityStore(config);
  const { ca, certificate } = securityOf(name);
  const shared = await issueOwn(ca, namesOf(config), certificate.name, { shared: true });
  // As the version before has left it: in its files, its record and what it says of itself.
  await t.stopAgent(name);
  for (const service of SERVICES) {
    const paths = [store.files.pair(service).certificate, store.files.pair(service).key];
    const { uid, gid } = statSync(paths[0] ?? '');
    store.savePair(service, shared[service]);
    for (const path of paths) chownSync(path, uid, gid);
  }
  const { tls, secrets } = securityOf('n1');
  const { kv } = createConsulClient({
    servers: [`https://${host('n1')}:8501`],
    tls: () => tls,
    token: secrets.managementToken,
  });
  const rewrite = async (key: string, change: (value: Record<string, unknown>) => unknown) => {
    const got = await kv.get(`cloudify/cluster/${key}`);
    if (got.kind !== 'ok') throw new Error(`${key}: ${got.kind}`);
    const written = await kv.put(
      `cloudify/cluster/${key}`,
      JSON.stringify(change(JSON.parse(got.entry.value))),
    );
    expect(written.kind).toBe('ok');
  };
  const { name: membership, fingerprint } = certificate;
  const signed = await signer('n1');
  await rewrite(`nodes/${name}`, (record) =>
    signed.sign('nodes', name, { ...(record as NodeRecord), certificate: { name: membership, fingerprint } }),
  );
  await rewrite(`state/${name}`, ({ certificates: _, ...state }) => state);
  await eventually('the old name is let in', 30_000, () => knock(shared.consul) === '');

  const shown = async (commonName: string) =>
    (await t.sql(
      'n1',
      `select count(*) from pg_stat_replication join pg_stat_ssl using (pid) where client_dn = '/CN=${commonName}'`,
    )) === '1';
  await t.startAgent(name);
  await eventually('it streams by its old name', 60_000, () => shown(certificate.name));
  await eventually('it streams by its new name', 120_000, () => shown(`postgres.${certificate.name}`));
  for (const service of SERVICES)
    await eventually('its old name is nobody', 30_000, () => knock(shared[service]).includes(REFUSED));
  expect(await t.settled(60_000)).toBe('n1');
}, 300_000);

test('a killed active is replaced, and comes back as a standby', async () => {
  await t.killManager('n1');
  const active = await eventually('another active', 40_000, async () => {
    const now = (await t.status())?.active;
    return now !== 'n1' && now;
  });
  await t.startAgent('n1');
  expect(await t.settled(60_000)).toBe(active);
}, 120_000);

test('a removed node is kept out, and who was away meanwhile finds the new gossip key', async () => {
  const active = await t.activeName();
  const [gone, away, other] = t.nodes.map(({ name }) => name).filter((name) => name !== active) as [
    string,
    string,
    string,
  ];
  const key = securityOf(active).secrets.gossipKey;
  const { tls, secrets } = securityOf(gone);
  const keys = pairOf(gone, 'postgres');
  const clientWith = (token: string) =>
    createConsulClient({ servers: [`https://${host(active)}:8501`], tls: () => tls, token });
  const consul = clientWith(secrets.consulToken);
  const managing = clientWith(secrets.managementToken);
  const peers = createPeers(
    (name) => ({ host: host(name), port: PORTS.api }),
    () => 'unused',
    () => ({ node: gone, token: secrets.peerToken, tls }),
  );
  expect((await consul.kv.get('cloudify/cluster/next_master')).kind).toBe('ok');
  expect(await peers.lags(active, 2000)).not.toBeNull();
  expect((await managing.catalog.raftConfiguration()).kind).toBe('ok');
  expect(knock(keys, active)).toBe('');

  // Its database goes on confirming commits; its agent and its Consul do not hear of the removal.
  await t.stopAgent(away);
  for (const pid of t.pids(away, 'consul')) process.kill(pid, 'SIGKILL');
  // If that one led Raft, nothing can be written for a moment, and the command says to run it again.
  await eventually(
    `${gone} removed`,
    100_000,
    async () => (await agent(active, 'cluster', 'nodes', 'remove', gone)).code === 0,
    500,
  );
  expect((await consul.kv.get('cloudify/cluster/next_master')).kind).toBe('unknown');
  expect(await peers.lags(active, 2000)).toBeNull();
  await eventually(`Consul of ${gone} is stopped`, 60_000, () => t.pids(gone, 'consul').length === 0);
  const filter = `select count(*) from pg_stat_replication where application_name like '${gone}%'`;
  expect(await t.sql(active, filter)).toBe('0');
  // Each of its keys and tokens, at each door.
  expect(knock(keys, active)).toContain(REFUSED);
  expect((await managing.catalog.raftConfiguration()).kind).toBe('unknown');
  expect((await managing.kv.get('cloudify/cluster/next_master')).kind).toBe('unknown');
  const { managementToken } = securityOf(active).secrets;
  expect(managementToken).not.toBe(secrets.managementToken);
  await eventually(
    `${other} has the new management token`,
    60_000,
    () => securityOf(other).secrets.managementToken === managementToken,
  );

  const fresh = securityOf(active).secrets.gossipKey;
  expect([fresh === key, securityOf(gone).secrets.gossipKey === key]).toEqual([false, true]);
  await eventually(`${other} has it`, 20_000, () => securityOf(other).secrets.gossipKey === fresh);
  expect(securityOf(away).secrets.gossipKey).toBe(key);
  await t.startAgent(away);
  expect(await t.settled(60_000, [active, other, away])).toBe(active);
  expect(securityOf(away).secrets.gossipKey).toBe(fresh);
  await eventually(
    `${away} has the new management token`,
    60_000,
    () => securityOf(away).secrets.managementToken === managementToken,
  );
  expect(await t.healthy(30_000, [active, other, away])).toBe(true);
}, 180_000);

test('a reservation is kept, may ask nothing of the members, and is worth nothing once it was removed', async () => {
  const active = await t.activeName();
  const { config } = loadConfig(t.node(active).config);
  const ghost = { ...config, node_name: 'ghost', host_ip: await freeAddress() } as NodeConfig;
  const made = await agent(active, 'cluster', 'token', 'create', '--ttl', '10min');
  const secrets = await prepareJoin(ghost, made.stdout.trim());
  const { fingerprint } = secrets;
  const request = { ...admitRequestOf(ghost), security: secrets.request };
  const admission = await createPeerCalls(PORTS.api, { fingerprint }).admit(host(active), request);
  const { ca, certificates } = admission.security ?? {};
  if (ca === undefined || certificates === undefined) throw new Error('no certificates came');
  const tls = { ca: ca.certificate, cert: certificates.agent, key: secrets.keys.agent };
  const self = { node: 'ghost', token: secrets.peerToken, tls };
  const calls = createPeerCalls(PORTS.api, { fingerprint, self: () => self });
  const peers = createPeers(
    (name) => ({ host: host(name), port: PORTS.api }),
    () => 'unused',
    () => self,
  );
  const consul = createConsulClient({
    servers: [`https://${host(active)}:8501`],
    tls: () => tls,
    token: secrets.request.consulToken,
  });

  await calls.keep(host(active), '', 'ghost');
  // A token alone is not enough for the authority's key: nobody is entered whose vote Consul does not count.
  expect(await calls.enrol(host(active), '', 'ghost').catch(({ code }) => code)).toBe('not_voting');
  expect((await consul.kv.get('cloudify/cluster/joining/ghost')).kind).toBe('ok');
  // Who leads and whose data counts is not for it to say.
  expect((await consul.kv.put('cloudify/cluster/request', '{}')).kind).toBe('unknown');
  expect(await peers.state(active, 2000)).toBeNull();
  expect(await peers.lags(active, 2000)).toBeNull();
  expect((await agent(active, 'cluster', 'status')).stdout).toContain('ghost (');
  const others = t.nodes.map(({ name }) => name).filter((name) => name !== active);
  for (const name of others) expect(await peers.reclone(name, 2000)).toBeNull();

  const removed = await agent(active, 'cluster', 'nodes', 'remove', 'ghost');
  expect(`${removed.code} ${removed.stderr}`).toStartWith('0 ');
  expect((await consul.kv.get('cloudify/cluster/joining/ghost')).kind).toBe('unknown');
  for (const call of [calls.keep, calls.enrol])
    expect(await call(host(active), '', 'ghost').catch(({ code }) => code)).toBe('not_admitted');
}, 120_000);

test('a reservation whose joiner has vanished ends by itself, and the gossip key is another then', async () => {
  const active = await t.activeName();
  const { config } = loadConfig(t.node(active).config);
  const ghost = { ...config, node_name: 'late', host_ip: await freeAddress() } as NodeConfig;
  const { tls, secrets } = securityOf(active);
  const { kv } = createConsulClient({
    servers: [`https://${host(active)}:8501`],
    tls: () => tls,
    // Another once it was removed: its key goes last.
    token: () => securityOf(active).secrets.managementToken,
  });
  const key = 'cloudify/cluster/joining/late';
  const held = reservationOf(admitRequestOf(ghost), {}, 10 * 60_000);
  const past = { ...held, at: new Date(Date.now() - 11 * 60_000).toISOString() };
  const signed = (await signer(active)).sign('joining', 'late', past);
  expect((await kv.put(key, JSON.stringify(signed))).kind).toBe('ok');
  await eventually('it is gone', 60_000, async () => (await kv.get(key)).kind === 'absent');
  await eventually(
    'the key is another',
    60_000,
    () => securityOf(active).secrets.gossipKey !== secrets.gossipKey,
  );
}, 150_000);

test('a member that does not hold the lease orders no fresh copy', async () => {
  const active = await t.activeName();
  const listed = JSON.parse((await agent(active, 'cluster', 'nodes', 'list', '--json')).stdout);
  const names: string[] = listed.map(({ name }: { name: string }) => name);
  const [one, other] = names.filter((name) => name !== active) as [string, string];
  const { tls, secrets } = securityOf(one);
  const peers = createPeers(
    (name) => ({ host: host(name), port: PORTS.api }),
    () => 'unused',
    () => ({ node: one, token: secrets.peerToken, tls }),
  );
  expect(await peers.reclone(other, 2000)).toBeNull();
  const refused = await agent(one, 'cluster', 'reinit', other);
  expect([refused.code === 0, refused.stderr.includes('not the active')]).toEqual([false, true]);
}, 30_000);
