import { afterAll, beforeAll, expect, test } from 'bun:test';
import { expectNothingLost, underLoad } from './failover.scenario.ts';
import { eventually, TestCluster } from './harness.ts';

/** Slots for all members and the carried list are on a node before it is a target (PROTOCOL E.3, D.4). */
let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up({ preset: 'fast' });
}, 240_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

test('a standby whose database was just copied again takes over at once, and its commits are confirmed from the first', async () => {
  const from = await t.settled();
  const to = t.nodes.map(({ name }) => name).find((name) => name !== from) as string;
  const ledger = t.ledger();
  try {
    await underLoad(ledger);
    const clone = async () => (await t.status())?.sync?.voters.find(({ node }) => node === to)?.clone;
    const before = await clone();
    await t.api(to).reinit(to);
    await eventually(`${to} streams with a new copy`, 120_000, async () => {
      const now = await clone();
      return now !== undefined && now !== before;
    });
    const id = await t.startSwitch(from, to);
    const degraded: boolean[] = [];
    await eventually(
      `${to} is active`,
      60_000,
      async () => {
        const status = await t.status();
        t.expectNotRefused(id, status);
        if (status?.active !== to) return false;
        degraded.push(status.degraded);
        return true;
      },
      10,
    );
    for (let i = 0; i < 50; i += 1) degraded.push((await t.status())?.degraded ?? false);
    expect(degraded.filter(Boolean)).toEqual([]);
    await ledger.acknowledgedAfter(await ledger.mark(), 30_000, to);
    expect(await t.settled()).toBe(to);
    expect(t.logs(400)).not.toContain('DEGRADED: no standby confirms');
    await expectNothingLost(ledger, to);
  } finally {
    await ledger.close();
  }
}, 400_000);
