import { afterAll, beforeAll, expect, test } from 'bun:test';
import process from 'node:process';
import { connect } from '../ledger/wire.ts';
import { expectNothingLost, underLoad } from './failover.scenario.ts';
import { eventually, TestCluster } from './harness.ts';

let t: TestCluster;

beforeAll(async () => {
  t = await TestCluster.up();
}, 180_000);

afterAll(async () => {
  await t?.down();
}, 60_000);

test('the agent of the active restarts without touching PostgreSQL or dropping a connection', async () => {
  const ledger = t.ledger();
  const active = await t.settled();
  const connection = await connect(t.address(active), 2000);
  try {
    const { epoch } = (await t.status()) ?? {};
    const server = t.postmasterPid(active);
    const since = await underLoad(ledger);
    await t.stopAgent(active);
    await t.startAgent(active);
    expect(await t.settled()).toBe(active);
    expect((await t.status())?.epoch).toBe(epoch as number);
    expect(t.postmasterPid(active)).toBe(server);
    expect(await connection.query('SELECT 1', 2000)).toEqual({ kind: 'done', rows: [['1']], warnings: [] });
    expect((await ledger.downtime(since, await ledger.mark())).ms).toBeLessThan(500);
    await expectNothingLost(ledger, active);
  } finally {
    connection.close();
    await ledger.close();
  }
}, 120_000);

test('each Consul server can be killed and started again without a role change or a gap', async () => {
  const ledger = t.ledger();
  try {
    const active = await t.settled();
    const { epoch } = (await t.status()) ?? {};
    const since = await underLoad(ledger);
    for (const { name } of t.nodes) {
      const [pid] = t.pids(name, 'consul');
      if (pid === undefined) throw new Error(`no Consul runs on ${name}`);
      process.kill(pid, 'SIGKILL');
      await eventually(`another Consul on ${name}`, 30_000, () =>
        t.pids(name, 'consul').some((found) => found !== pid),
      );
      await eventually(
        `all Consul servers alive`,
        30_000,
        async () => (await t.status())?.quorum?.alive === 3,
      );
      expect(await t.settled()).toBe(active);
    }
    expect((await t.status())?.epoch).toBe(epoch as number);
    expect((await ledger.downtime(since, await ledger.mark())).ms).toBeLessThan(1000);
    await expectNothingLost(ledger, active);
  } finally {
    await ledger.close();
  }
}, 240_000);
