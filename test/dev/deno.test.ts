import { expect, test } from 'bun:test';
import { expectNothingLost, managerKilled, postmasterKilled } from './failover.scenario.ts';
import { TestCluster } from './harness.ts';

test('agents run from source by Deno survive a killed postmaster and a killed manager without losing a write', async () => {
  const t = await TestCluster.up({ preset: 'fast', runtime: 'deno' });
  try {
    const ledger = t.ledger();
    try {
      console.log(`downtime: ${(await postmasterKilled(t, ledger)).toFixed(0)} ms`);
      const { from, to } = await managerKilled(t, ledger);
      await t.startAgent(from);
      expect(await t.settled(90_000)).toBe(to);
      await expectNothingLost(ledger, to);
    } finally {
      await ledger.close();
    }
  } finally {
    await t.down();
  }
}, 240_000);
