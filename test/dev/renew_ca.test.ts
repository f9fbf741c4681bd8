/**
 * A new certificate authority for a cluster that is written to all the while: nothing is restarted, and the
 * old one opens no door.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthorityStatus } from '../../agent/api/types.ts';
import { loadConfig, type NodeConfig } from '../../agent/config/index.ts';
import { createConsulClient } from '../../agent/consul/client.ts';
import { createPeers } from '../../agent/peers/peers.ts';
import { pemBlocks } from '../../agent/platform/tls/bundle.ts';
import type { Ca } from '../../agent/platform/tls/ca.ts';
import { fingerprintOf } from '../../agent/platform/tls/read.ts';
import { issueOwn, namesOf, type PerService } from '../../agent/security/certificates.ts';
import { loadSecurity, type Pair, type Security, securityStore } from '../../agent/security/store.ts';
import { runningAgent, startAgent } from '../../cli/dev/agents.ts';
import { agentOn, prepare } from '../../cli/dev/cluster.ts';
import { CLIENT, PORTS } from '../../cli/dev/layout.ts';
import { consulRpc } from '../fixtures/consul_rpc.ts';
import { findBinDir } from '../fixtures/postgres.ts';
import { LEDGER_TABLE } from '../ledger/ledger.ts';
import { connect } from '../ledger/wire.ts';
import { freeAddress } from './addresses.ts';
import { eventually, TestCluster } from './harness.ts';

let t: TestCluster;
let dir: string;
const agent = (name: string, ...args: string[]) => agentOn(t.cluster, t.node(name), args);
const host = (name: string): string => t.node(name).address;
const configOf = (name: string): NodeConfig => loadConfig(t.node(name).config).config as NodeConfig;

function securityOf(name: string): Security {
  const found = loadSecurity(configOf(name));
  if (found === undefined) throw new Error(`${name} has no certificates`);
  return found;
}
const rootsIn = (name: string): string[] => securityOf(name).roots.map(({ fingerprint }) => fingerprint);

async function authority(on: string): Promise<AuthorityStatus> {
  const shown = await agent(on, 'cluster', 'certificates', '--json');
  return JSON.parse(shown.stdout).authority;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'agent-test-'));
  const first = await freeAddress();
  const options = { api: { tls: true } };
  t = new TestCluster(await prepare({ dir, nodes: 3, first, runtime: 'bun', preset: 'fast', options }));
  for (const node of t.nodes) await startAgent(node, t.cluster.settings.program, t.cluster.user);
  const started = await agent('n1', 'cluster', 'start');
  if (started.code !== 0) throw new Error(`${started.stderr}\n${t.logs()}`);
  for (const name of ['n2', 'n3']) {
    const token = (await agent('n1', 'cluster', 'token', 'create')).stdout.trim();
    const joined = await agent(name, 'cluster', 'join', '--token', token, host('n1'));
    if (joined.code !== 0) throw new Error(`${joined.stderr}\n${t.logs()}`);
  }
  await t.settled(60_000);
  await t.clientSql(`${LEDGER_TABLE}; GRANT ALL ON ledger TO ${CLIENT.user}`);
  // Each says so in its record, ten seconds after it was entered at the latest; until then a new authority is
  // refused.
  await eventually(
    'every member says which roots it trusts',
    60_000,
    async () => (await authority('n1')).nodes.every(({ trusts }) => trusts !== null),
    500,
  );
}, 300_000);
afterAll(() => t?.down(), 60_000);

/** In files, for programs that are not ours; the root that is trusted is the one `on` shows now. */
function written({ certificate, key }: Pair, on: string) {
  const at = join(dir, 'knock');
  const paths = { ca: `${at}.ca`, cert: `${at}.cert`, key: `${at}.key` };
  writeFileSync(paths.ca, securityOf(on).caPem, { mode: 0o600 });
  writeFileSync(paths.cert, certificate, { mode: 0o600 });
  writeFileSync(paths.key, key, { mode: 0o600 });
  return paths;
}

/** What each door of `on` says to the certificates of `n2` that are shown; n2's tokens are good. */
async function doors(pairs: PerService<Pair>, on: string): Promise<Record<string, boolean>> {
  const { caPem, secrets } = securityOf('n2');
  const tls = { ca: caPem, cert: pairs.agent.certificate, key: pairs.agent.key };
  const peers = createPeers(
    () => ({ host: host(on), port: PORTS.api }),
    () => 'unused',
    () => ({ node: 'n2', token: secrets.peerToken, tls }),
  );
  const consul = createConsulClient({
    servers: [`https://${host(on)}:8501`],
    tls: () => tls,
    token: secrets.consulToken,
  });
  const pg = written(pairs.postgres, on);
  const to = `host=${on} hostaddr=${host(on)} port=${PORTS.postgres} user=cloudify_replication replication=1`;
  const ssl = `sslmode=verify-full sslrootcert=${pg.ca} sslcert=${pg.cert} sslkey=${pg.key}`;
  const psql = ['-X', '-w', '-A', '-t', '-c', 'IDENTIFY_SYSTEM', `${to} ${ssl}`];
  const replication = spawnSync(join(findBinDir(), 'psql'), psql, { encoding: 'utf8' });
  return {
    api: (await peers.lags(on, 5000)) !== null,
    consul: (await consul.kv.get('cloudify/cluster/next_master', { deadlineMs: 5000 })).kind === 'ok',
    consulRpc: (await consulRpc(host(on), 8300, written(pairs.consul, on))) === 'open',
    postgres: replication.status === 0,
  };
}
const OPEN = { api: true, consul: true, consulRpc: true, postgres: true };
const SHUT = { api: false, consul: false, consulRpc: false, postgres: false };

const stolen = (ca: Ca): Promise<PerService<Pair>> =>
  issueOwn(ca, namesOf(configOf('n2')), securityOf('n2').certificate.name);

const pairsOf = (name: string) => {
  const store = securityStore(configOf(name));
  const pair = (service: 'agent' | 'consul' | 'postgres') => store.pair(service) as Pair;
  return { agent: pair('agent'), consul: pair('consul'), postgres: pair('postgres') };
};

test('a new authority goes round under writes: who is away holds it up and is named, nothing is restarted, the old one opens no door', async () => {
  const old = securityOf('n1').ca;
  const thief = await stolen(old);
  expect(await doors(thief, 'n1')).toEqual(OPEN);
  const token = (await agent('n1', 'cluster', 'token', 'create')).stdout.trim();

  const ledger = t.ledger();
  const client = await connect(t.address('n1'), 5000);
  try {
    const backend = async () => {
      const answer = await client.query('select pg_backend_pid()', 10_000);
      return answer.kind === 'done' ? answer.rows[0]?.[0] : answer.kind;
    };
    const session = await backend();
    await ledger.acknowledgedAfter(await ledger.mark(), 20_000);
    const since = await ledger.mark();
    const servers = ['n1', 'n2'].map((name) => [t.postmasterPid(name), t.pids(name, 'consul')]);

    await t.killManager('n3');
    const waiting = await agent('n2', 'cluster', 'certificates', '--renew-ca', '--timeout', '20');
    expect([
      waiting.code,
      waiting.stderr.includes('n3 does not trust the new root yet, and is silent'),
    ]).toEqual([5, true]);
    expect(waiting.stderr).toContain("bring n3 back, or take it out with 'agent cluster nodes remove'");
    const held = await authority('n1');
    expect([held.phase, held.waits.map(({ node }) => node)]).toEqual(['trust', ['n3']]);
    const both = [held.old, held.root];
    for (const name of ['n1', 'n2']) expect(rootsIn(name)).toEqual(both as string[]);
    // Nothing but trust has changed: both roots' certificates open every door.
    expect(await doors(thief, 'n1')).toEqual(OPEN);

    await t.startAgent('n3');
    const done = await agent('n2', 'cluster', 'certificates', '--renew-ca', '--timeout', '120');
    if (done.code !== 0) throw new Error(`${done.stderr}\n${t.logs(60)}`);
    const after = await authority('n1');
    const root = held.root;
    expect(after.phase).toBe('done');
    expect(after.nodes.map(({ name, trusts, keys, shows }) => [name, trusts, keys, shows])).toEqual(
      ['n1', 'n2', 'n3'].map((name) => [name, [root], [root], root]),
    );
    for (const name of ['n1', 'n2', 'n3']) {
      const { files } = securityStore(configOf(name));
      expect(pemBlocks(readFileSync(files.ca, 'utf8')).map(fingerprintOf)).toEqual([root]);
      expect([
        existsSync(files.otherKeys),
        readFileSync(files.caKey, 'utf8').trim() === old.key.trim(),
      ]).toEqual([false, false]);
    }

    // The clients of before are there, nobody changed roles, nothing was restarted.
    expect(await backend()).toBe(session as string);
    expect(await t.settled(60_000)).toBe('n1');
    expect((await t.status())?.epoch).toBe(1);
    expect(['n1', 'n2'].map((name) => [t.postmasterPid(name), t.pids(name, 'consul')])).toEqual(servers);
    console.log(`downtime: ${(await ledger.downtime(since)).ms.toFixed(0)} ms`);

    for (const on of ['n1', 'n2', 'n3']) {
      expect([on, await doors(thief, on)]).toEqual([on, SHUT]);
      expect([on, await doors(pairsOf('n2'), on)]).toEqual([on, OPEN]);
    }
    // What a joiner holds against the old root.
    const late = await agent('n1', 'cluster', 'token', 'create');
    expect(token.split('.')[2]).not.toBe(late.stdout.trim().split('.')[2] as string);

    await ledger.acknowledgedAfter(await ledger.mark(), 20_000);
    await ledger.stopWriting();
    expect(await ledger.balance('n1')).toMatchObject({ lost: [], phantoms: [] });
    expect(await ledger.overlaps()).toEqual([]);
  } finally {
    client.close();
    await ledger.close();
  }
}, 300_000);

test('with --hold it stays where both are trusted, and whoever is active later goes on; members still speak with each other', async () => {
  const { ca } = securityOf('n1');
  const held = await agent('n1', 'cluster', 'certificates', '--renew-ca', '--hold', '--timeout', '120');
  if (held.code !== 0) throw new Error(`${held.stderr}\n${t.logs(60)}`);
  expect(held.stdout).toContain(
    'every node trusts both roots: give ca.pem to whoever else trusts the cluster',
  );
  expect(securityOf('n2').issuers).toEqual([0, 1, 2].map(() => fingerprintOf(ca.certificate)));

  await t.killManager('n1');
  const active = await eventually('another active', 60_000, async () => {
    const now = (await t.status())?.active;
    return now !== 'n1' && now;
  });
  const waiting = await agent(active, 'cluster', 'certificates', '--renew-ca', '--timeout', '20');
  expect([waiting.code, waiting.stderr.includes('n1 has no certificates of the new root yet')]).toEqual([
    5,
    true,
  ]);
  // The agent that did what it had to dies before all are through.
  t.signalAgent(active, 'SIGKILL');
  await eventually('its agent is gone', 30_000, () => runningAgent(t.node(active)) === undefined);
  await t.startAgent(active);
  await t.startAgent('n1');
  let last: AuthorityStatus | null = null;
  const through = async () => {
    last = await t
      .api(active)
      .authorityStatus()
      .catch(() => last);
    return last?.phase === 'done';
  };
  await eventually('all are through', 180_000, through, 500).catch((cause: Error) => {
    throw new Error(`${cause.message}: ${JSON.stringify(last, null, 1)}\n${t.logs(80)}`);
  });
  for (const on of ['n1', 'n2', 'n3']) {
    expect([on, await doors(await stolen(ca), on)]).toEqual([on, SHUT]);
    expect([on, await doors(pairsOf('n2'), on)]).toEqual([on, OPEN]);
  }
  // The management token was kept readable on the way: whoever is active takes a member out with it, and
  // makes it anew.
  await t.settled(90_000);
  const now = await t.activeName();
  const gone = t.nodes.map(({ name }) => name).find((name) => name !== now) as string;
  const removed = await agent(now, 'cluster', 'nodes', 'remove', gone);
  expect([removed.code, removed.stdout.includes('--renew-ca')]).toEqual([0, true]);
}, 400_000);
