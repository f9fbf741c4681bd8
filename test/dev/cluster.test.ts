import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentError } from '../../agent/errors.ts';
import { startAgent } from '../../cli/dev/agents.ts';
import { prepare } from '../../cli/dev/cluster.ts';
import { nodeProcesses } from '../../cli/dev/processes.ts';
import { freeAddress } from './addresses.ts';
import { eventually, TestCluster } from './harness.ts';

let t: TestCluster;
let spare: TestCluster;

/**
 * Two managers that are in no cluster: n1 has a database of its own, n2 is empty and carries a name that is
 * taken.
 */
async function makeSpare(): Promise<TestCluster> {
  const dir = mkdtempSync(join(tmpdir(), 'agent-test-'));
  const made = new TestCluster(await prepare({ dir, nodes: 2, first: await freeAddress(), runtime: 'bun' }));
  for (const node of made.nodes) await startAgent(node, made.cluster.settings.program, made.cluster.user);
  return made;
}

beforeAll(async () => {
  t = await TestCluster.up({ preset: 'fast' });
}, 180_000);

afterAll(async () => {
  await spare?.down();
  await t?.down();
}, 60_000);

test('a cluster started on existing data keeps it, and every standby has it', async () => {
  expect(await t.activeName()).toBe('n1');
  for (const { name } of t.nodes) {
    expect(await t.sql(name, 'SELECT count(*) FROM deployments')).toBe('500');
  }
  expect(await t.sql('n1', 'SELECT pg_is_in_recovery()')).toBe('f');
  expect(await t.sql('n2', 'SELECT pg_is_in_recovery()')).toBe('t');
});

test('the demo worker runs on the active only, and works as a client', async () => {
  await eventually(
    'work done',
    15_000,
    async () => Number(await t.sql('n1', 'SELECT count(*) FROM work')) > 1,
  );
  expect(await t.sql('n1', 'SELECT DISTINCT node FROM work')).toBe('n1');
});

test('a switchover there and back loses nothing and never has two writable nodes', async () => {
  const ledger = t.ledger();
  try {
    await ledger.acknowledgedAfter(await ledger.mark(), 10_000);
    for (const target of ['n2', 'n1']) {
      const since = await ledger.mark();
      await t.switchTo(target);
      await ledger.acknowledgedAfter(since, 15_000, target);
      console.log(`downtime: ${((await ledger.downtime(since)).ms).toFixed(0)} ms`);
      await t.settled();
    }
    expect((await ledger.reigns()).map(({ node }) => node)).toEqual(['n1', 'n2', 'n1']);
    await ledger.stopWriting();
    expect(await ledger.balance('n1')).toMatchObject({ lost: [], phantoms: [] });
    expect(await ledger.overlaps()).toEqual([]);
  } finally {
    await ledger.close();
  }
}, 120_000);

/** The refusal's code. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (thrown) {
    if (thrown instanceof AgentError) return thrown.code;
    throw thrown;
  }
  return 'not refused';
}

/** Joins, and gives the refusal's code, whether it came at once or from the operation. */
async function refusedJoin(name: string, options: { nodeName?: string; hostIp?: string }): Promise<string> {
  const addresses = [t.node('n1').address];
  return refusal(
    (async () => {
      const done = await spare.operationDone(name, await spare.api(name).join({ addresses, ...options }));
      if (done.state === 'failed') {
        throw new AgentError({ class: 'operator', code: done.errorCode ?? '', message: done.error ?? '' });
      }
    })(),
  );
}

test('join refuses a manager with data, a taken name and a taken address, and leaves it as it was', async () => {
  spare = await makeSpare();
  expect(await refusedJoin('n1', { nodeName: 'n8' })).toBe('manager_not_empty');
  expect(await refusedJoin('n2', {})).toBe('name_taken');
  expect(await refusedJoin('n2', { nodeName: 'n9', hostIp: t.node('n3').address })).toBe('address_taken');
  const empty = spare.node('n2');
  expect(existsSync(join(empty.pgData, 'PG_VERSION'))).toBe(false);
  expect(nodeProcesses(empty).map(({ command }) => command)).not.toContain('consul');
  expect((await t.status())?.nodes.map(({ name }) => name)).toEqual(['n1', 'n2', 'n3']);
}, 60_000);

test('start is refused on a manager that is in a cluster', async () => {
  expect(await refusal(t.api('n2').start({}))).toBe('already_in_cluster');
});

test('a node that is down stays listed as offline, and is a voter again when it comes back', async () => {
  await t.killManager('n3');
  const row = await eventually('n3 offline', 45_000, async () =>
    (await t.status())?.nodes.find(({ name, state }) => name === 'n3' && state === 'offline'),
  );
  expect(row).toMatchObject({ online: false, master: false });
  expect(await t.activeName()).toBe('n1');
  await t.startAgent('n3');
  expect(await t.settled()).toBe('n1');
}, 120_000);

test('the active cannot be removed', async () => {
  expect(await refusal(t.api('n1').remove('n1'))).not.toBe('not refused');
});

test('a removed node that comes back is refused', async () => {
  await t.killManager('n3');
  const done = await t.operationDone('n1', await t.api('n1').remove('n3'));
  expect(done).toMatchObject({ state: 'done', error: null });
  expect((await t.status())?.nodes.map(({ name }) => name)).toEqual(['n1', 'n2']);
  await t.startAgent('n3');
  await eventually('n3 knows that it was removed', 45_000, async () => (await t.api('n3').status()).removed);
  expect((await t.status())?.nodes.map(({ name }) => name)).toEqual(['n1', 'n2']);
  expect(
    await t.sql('n1', "SELECT count(*) FROM pg_stat_replication WHERE application_name LIKE 'n3%'"),
  ).toBe('0');
  expect(await t.settled(30_000, ['n1', 'n2'])).toBe('n1');
}, 120_000);
