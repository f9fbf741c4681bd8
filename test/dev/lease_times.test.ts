/**
 * A real cluster whose lease times are changed while it serves, with a file on one node that says something
 * else.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { expectNothingLost, underLoad } from './failover.scenario.ts';
import { eventually, TestCluster } from './harness.ts';

let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up();
}, 180_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

const LONG = { renewDeadline: 12_000, leaseDuration: 18_000 };
const USUAL = { renewDeadline: 4000, leaseDuration: 6000 };

/** Until the lease itself says these times, as every node sees it. */
async function leaseSays(times: typeof LONG): Promise<void> {
  for (const { name } of t.nodes)
    await eventually(`${JSON.stringify(times)} seen on ${name}`, 60_000, async () => {
      const { record } = await t.api(name).lease();
      return record?.leaseDuration === times.leaseDuration && record.renewDeadline === times.renewDeadline;
    });
}

test('the founder wrote the times, and the lease says them', async () => {
  const active = await t.settled();
  const lease = await t.api(active).lease();
  expect(lease).toMatchObject({
    source: 'cluster',
    version: 1,
    by: `start on ${active}`,
    others: [],
    note: null,
  });
  await leaseSays(USUAL);
});

test('a node whose file has check_ttl_multiplier 3 says so everywhere, and goes by the times of the cluster as the active', async () => {
  const other = t.nodes.find(({ name }) => name === 'n3');
  if (other === undefined) throw new Error('no n3');
  const file = parse(readFileSync(other.config, 'utf8')) as Record<string, unknown>;
  const checks = { ...(file.checks as object | undefined), check_ttl_multiplier: 3 };
  await t.stopAgent('n3');
  writeFileSync(other.config, stringify({ ...file, checks }));
  await t.startAgent('n3');
  await t.settled();
  const note = await eventually(
    'its status says so',
    30_000,
    async () => (await t.api('n3').status()).leaseNote,
  );
  expect(note).toContain(
    "lease times of this file (3/12/18 s, fencing 1.5 s) are not the cluster's (1/4/6 s",
  );
  await eventually('the others say so', 60_000, async () =>
    (await t.api('n1').cluster()).lease?.others.some(({ node }) => node === 'n3'),
  );
  await t.switchTo('n3');
  expect(await t.settled()).toBe('n3');
  await leaseSays(USUAL);
  expect((await t.api('n3').status()).leaseMs).toBeLessThanOrEqual(4000);
}, 180_000);

test('set while it serves: longer, then as before; the active stays, no write is lost', async () => {
  const ledger = t.ledger();
  try {
    const active = await t.settled();
    const { epoch } = (await t.status()) ?? {};
    await underLoad(ledger);
    const standby = t.nodes.find(({ name }) => name !== active)?.name ?? '';
    await expect(t.api(standby).setLease({ multiplier: 3 })).rejects.toMatchObject({
      code: 'not_cluster_master',
    });
    await expect(t.api(active).setLease({ renewDeadline: 5000 })).rejects.toMatchObject({
      code: 'bad_lease_times',
    });
    expect(await t.api(active).setLease({ multiplier: 3 })).toMatchObject({ version: 2 });
    await leaseSays(LONG);
    await expect(t.api(active).setLease({ multiplier: 3 })).rejects.toMatchObject({
      code: 'nothing_to_change',
    });
    expect(await t.api(active).setLease({ preset: 'default' })).toMatchObject({ version: 3 });
    await leaseSays(USUAL);
    await ledger.acknowledgedAfter(await ledger.mark(), 20_000);
    expect(await t.settled()).toBe(active);
    expect((await t.status())?.epoch).toBe(epoch as number);
    await expectNothingLost(ledger, active);
  } finally {
    await ledger.close();
  }
}, 240_000);
