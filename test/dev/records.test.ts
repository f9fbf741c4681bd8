import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createConsulClient } from '../../agent/consul/client.ts';
import { PORTS } from '../../cli/dev/layout.ts';
import { expectNothingLost, underLoad } from './failover.scenario.ts';
import { eventually, TestCluster } from './harness.ts';

/**
 * Values of version N + 1, and half-written ones, in each key of a living cluster: named, and nothing else
 * happens.
 */
let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up({ preset: 'fast' });
}, 240_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

test('the active goes on whatever key is not understood, and each is named until it is put right', async () => {
  const active = await t.settled();
  const epoch = (await t.status())?.epoch as number;
  const standby = t.nodes.map(({ name }) => name).find((name) => name !== active) as string;
  const { kv } = createConsulClient({ servers: [`http://${t.node(active).address}:${PORTS.consul}`] });
  const at = (key: string) => `cloudify/cluster/${key}`;
  const keys = [
    `state/${standby}`,
    `nodes/${standby}`,
    `history/${epoch}`,
    'request',
    'config',
    'active',
    'sync',
    'cluster',
  ];
  const ledger = t.ledger();
  try {
    await underLoad(ledger);
    for (const key of keys) {
      const held = await kv.get(at(key));
      const good = held.kind === 'ok' ? held.entry.value : null;
      const next = good === null ? { schema: 2 } : { ...JSON.parse(good), schema: 2 };
      for (const bad of [JSON.stringify(next), '{"schema":1,']) {
        await kv.put(at(key), bad);
        // What a node says of itself is written anew by that node.
        const named = async () => (await t.status())?.unreadable?.[key] !== undefined;
        if (!key.startsWith('state/')) await eventually(`${key} is named`, 30_000, named, 20);
        await ledger.acknowledgedAfter(await ledger.mark(), 30_000, active);
      }
      if (good === null) await kv.delete(at(key));
      else await kv.put(at(key), good);
      await eventually(`${key} is understood`, 30_000, async () => {
        const status = await t.status();
        return status !== undefined && status.unreadable?.[key] === undefined;
      });
    }
    expect(await t.settled()).toBe(active);
    expect((await t.status())?.epoch).toBe(epoch);
    await expectNothingLost(ledger, active);
  } finally {
    await ledger.close();
  }
}, 400_000);
