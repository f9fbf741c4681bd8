import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLIENT, nodesOf } from '../../cli/dev/layout.ts';
import { findBinDir, makeExistingDatabase } from '../../cli/dev/postgres.ts';
import { nodeProcesses, signalProcess } from '../../cli/dev/processes.ts';
import { asUser, devUser, giveTo } from '../../cli/dev/user.ts';
import { LEDGER_TABLE, Ledger } from '../ledger/ledger.ts';
import { type Address, type Connection, connect } from '../ledger/wire.ts';

/** The ledger against one plain server, killed, frozen and left without a standby on purpose. */

const dir = mkdtempSync(join(tmpdir(), 'ledger-'));
const user = devUser();
const binDir = findBinDir();
const [node] = nodesOf(dir, { nodes: 1, first: '127.0.0.61' });
if (!node) throw new Error('no node');
const address: Address = { host: node.address, port: 5432, ...CLIENT };
/** Nothing listens there: a dead node of the cluster. */
const dead: Address = { ...address, host: '127.0.0.62' };
let server: ChildProcess;

async function start(): Promise<void> {
  if (!node) return;
  const settings = ['-c', `listen_addresses=${node.address}`, '-c', `unix_socket_directories=${node.dir}`];
  const [command, ...args] = asUser(user, [join(binDir, 'postgres'), '-D', node.pgData, ...settings]);
  server = spawn(command, args, { cwd: node.dir, stdio: 'ignore' });
  await client(address);
}

async function client(to: Address): Promise<Connection> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    try {
      return await connect(to, 1000);
    } catch (cause) {
      if (performance.now() > deadline) throw cause;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function killServer(): Promise<void> {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  if (node) for (const stat of nodeProcesses(node)) signalProcess(stat, 'SIGKILL');
  await ended;
}

beforeAll(async () => {
  chmodSync(dir, 0o755);
  mkdirSync(node.dir, { mode: 0o700 });
  giveTo(user, node.dir);
  await makeExistingDatabase(node, user, binDir);
  await start();
  const connection = await client(address);
  expect((await connection.query(LEDGER_TABLE, 5000)).kind).toBe('done');
  connection.close();
}, 60_000);

afterAll(async () => {
  await killServer();
  rmSync(dir, { recursive: true, force: true });
});

test('the existing database of a manager has its rows', async () => {
  const connection = await client(address);
  const answer = await connection.query('SELECT count(*) FROM deployments', 5000);
  expect(answer).toEqual({ kind: 'done', rows: [['500']], warnings: [] });
  connection.close();
});

test('a killed server costs the outage and no acknowledged write; a dead node holds up nobody', async () => {
  const ledger = new Ledger({ nodes: { n1: address, n2: dead } });
  const begun = await ledger.mark();
  await ledger.acknowledgedAfter(begun, 5000);
  const steady = await ledger.mark();
  await ledger.acknowledgedAfter(steady + 1000, 5000);
  console.log(`between writes: ${(await ledger.downtime(steady)).ms.toFixed(0)} ms`);
  const killed = await ledger.mark();
  await killServer();
  await start();
  const again = await ledger.acknowledgedAfter(killed + 20, 10_000);
  const gap = await ledger.downtime(killed, again);
  expect(gap.ms).toBeGreaterThan(0);
  await ledger.stopWriting();
  const balance = await ledger.balance('n1');
  expect(balance.acknowledged).toBeGreaterThan(40);
  expect(balance).toMatchObject({ lost: [], phantoms: [] });
  expect(await ledger.overlaps()).toEqual([]);
  await ledger.close();
}, 40_000);

test('a frozen server gives unknown outcomes, and connections to it end by themselves', async () => {
  const ledger = new Ledger({ nodes: { n1: address }, connectTimeout: 300, statementTimeout: 300 });
  await ledger.acknowledgedAfter(await ledger.mark(), 5000);
  const frozen = nodeProcesses(node);
  for (const stat of frozen) signalProcess(stat, 'SIGSTOP');
  const since = await ledger.mark();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  for (const stat of frozen) signalProcess(stat, 'SIGCONT');
  await ledger.acknowledgedAfter(since + 900, 5000);
  expect((await ledger.downtime(since)).ms).toBeGreaterThan(900);
  await ledger.stopWriting();
  const balance = await ledger.balance('n1');
  expect(balance.unknown).toBeGreaterThan(0);
  expect(balance).toMatchObject({ lost: [], phantoms: [] });
  await ledger.close();
}, 40_000);

test('a commit that was cancelled while it waited for a standby is warned, not acknowledged', async () => {
  appendFileSync(join(node.pgData, 'postgresql.conf'), "synchronous_standby_names = 'ANY 1 (nobody)'\n");
  process.kill(server.pid ?? 0, 'SIGHUP');
  const superuser = asUser(user, [join(binDir, 'psql'), '-h', node.dir, '-U', 'postgres', '-qAt']);
  const ledger = new Ledger({ nodes: { n1: address }, statementTimeout: 20_000 });
  const deadline = performance.now() + 15_000;
  while (!(await ledger.attempts()).some(({ outcome }) => outcome === 'warned')) {
    expect(performance.now()).toBeLessThan(deadline);
    const cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    const [command, ...args] = [...superuser, '-c', cancel];
    await new Promise((resolve) => spawn(command ?? '', args, { stdio: 'ignore' }).once('exit', resolve));
  }
  await ledger.close();
}, 40_000);
