import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { createConsulClient } from '../../agent/consul/client.ts';
import { PORTS } from '../../cli/dev/layout.ts';
import { type Flood, flood } from '../fixtures/flood.ts';
import { expectNothingLost, underLoad } from './failover.scenario.ts';
import { eventually, TestCluster } from './harness.ts';

/** Three thousand strangers at the active's door cost no renewal. */
let t: TestCluster;

beforeAll(async () => {
  // The flood and its target share this machine, which may be busy otherwise: what is looked at is that
  // renewals go on beside it.
  t = await TestCluster.up({
    options: { lease: { retry_period: '1s', renew_deadline: '20s', lease_duration: '30s' } },
  });
}, 240_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

/** Of a process, MB. */
const memory = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

const sleep = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

test('under 3,000 unfinished requests the lease is renewed, writes are acknowledged and health is answered', async () => {
  const active = await t.settled();
  const { address } = t.node(active);
  const { kv } = createConsulClient({ servers: [`http://${address}:${PORTS.consul}`] });
  const renewals = async (): Promise<{ epoch: number; seq: number }> => {
    const read = await kv.get('cloudify/cluster/next_master', { consistency: 'consistent' });
    if (read.kind !== 'ok') throw new Error(`the lease cannot be read: ${JSON.stringify(read)}`);
    return JSON.parse(read.entry.value);
  };
  const ledger = t.ledger();
  const floods: Flood[] = [];
  try {
    await underLoad(ledger);
    const before = await renewals();
    const rss = memory(t.agentPid(active));
    // The first are given up after ten seconds; then as many come again.
    for (let round = 0; round < 2; round += 1) {
      floods.push(await flood(address, PORTS.api, 3000));
      for (let i = 0; i < 6; i += 1) {
        // It answers; that a check or a renewal is late is a slow machine's affair, for a moment.
        await eventually('health says active', 60_000, async () => {
          const health = await fetch(`http://${address}:${PORTS.api}/health/active`, {
            signal: AbortSignal.timeout(30_000),
          });
          return health.status === 200;
        });
        await sleep(1000);
      }
      await ledger.acknowledgedAfter(await ledger.mark(), 30_000, active);
      if (round > 0) floods[round - 1]?.end();
    }
    const after = await renewals();
    const grown = memory(t.agentPid(active)) - rss;
    console.log(
      `2 x 3000 connections: ${after.seq - before.seq} renewals, the agent ${grown.toFixed(0)} MB larger`,
    );
    expect(after.epoch).toBe(before.epoch);
    expect(after.seq).toBeGreaterThan(before.seq + 3);
    expect(grown).toBeLessThan(400);
    expect((await t.status())?.active).toBe(active);
    await expectNothingLost(ledger, active);
  } finally {
    for (const each of floods) each.end();
    await ledger.close();
  }
}, 240_000);
